"""The outside half of a file writer: empties a ring into sound files, one after the other, without losing a
frame between them.

When the disk refuses, what came so far is completed, the node says so, and a new file is tried until one can be
written; what comes meanwhile is dropped and counted, so that nobody waits. The ring holds four seconds, unless told
otherwise, which a slow disk may take.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np

from ..problems import Refusal
from .encoding import ENCODINGS, EncodedFile, nearest_rate
from .endpoint import MediaRoots, Samples, Surroundings
from .recording_path import RecordingPath
from .sound_file import CannotEncode, RawFile, SoundFile, create
from .threaded import ThreadedEndpoint
from .wav import WavFile

PIECE_S = 0.15  # what a process that is killed loses of a WAV file; the fewer pieces, the less it costs
WAIT_MS = 150  # then what is there is written even so: perhaps no more will come
RETRY_S = 1.0
SLOWEST_RETRY_S = 10.0  # the pause doubles up to here; after so long a success it starts anew


class RecordingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What of the node's configuration the thread needs."""

    path: str
    format: Literal["wav", "flac", "opus", "mp3", "aac"]
    subtype: Literal["pcm_16", "pcm_24", "float"]
    bitrate_kbps: int | None
    segment_s: float  # 0: one file
    retention: float | None  # days; None: keep all
    buffer_ms: float

    @property
    def of_the_file(self) -> tuple[object, ...]:
        """What can't change within a file."""
        return self.path, self.format, self.subtype, self.bitrate_kbps


class FileRecording(ThreadedEndpoint):
    """Records all that comes through its ring. Settings that ask for another file begin it at a frame: none is lost."""

    def __init__(self, node_id: str, settings: RecordingSettings, surroundings: Surroundings) -> None:
        self._rate = surroundings.sample_rate
        self._piece = round(PIECE_S * self._rate)
        super().__init__(node_id, surroundings, settings.buffer_ms)
        self._settings = settings
        self._changes: deque[tuple[int, RecordingSettings]] = deque()  # to come: from which frame of the ring on
        self._names = RecordingPath(settings.path, settings.format, surroundings.media)
        self._length: int | None = None  # frames given to the ring that belong into the recording
        self._lock = threading.Lock()  # around what other threads ask for or set: length, file, counts
        self._file: SoundFile | None = None
        self._path: Path | None = None
        self._segments = self._frames = self._bytes = self._clipped = 0  # of the files before the present one
        self._lost = 0
        self._note = ""
        self._retry_at, self._retry_s = 0.0, RETRY_S

    def configure(self, config: Mapping[str, Any]) -> None:
        """Holds for all that comes into the ring from now on."""
        self._changes.append((self.ring.written, msgspec.convert(config, RecordingSettings)))

    def drain(self) -> None:
        self.close()

    def close(self, length: int | None = None) -> None:
        with self._lock:
            given = self._given(self.ring.written) if length is None else length
            self._length = given if self._length is None else min(given, self._length)
        self.ending.set()
        self.ring.wake()

    def detail(self) -> dict[str, Any]:
        """Keys: path; of all files together frames, seconds, bytes, segments, clipped (samples); lost_frames."""
        with self._lock:
            file = self._file
            frames = self._frames + (file.frames if file else 0)
            return {
                "path": None if self._path is None else str(self._path),
                "frames": frames,
                "seconds": round(frames / self._rate, 3),
                "bytes": self._bytes + (file.size if file else 0),
                "segments": self._segments,
                "clipped": self._clipped + (file.clipped if file else 0),
                "lost_frames": self._lost + self.ring.missed,
            }

    # ---- The thread ------------------------------------------------------------------------------------------------

    def work(self) -> None:
        try:
            while not self._is_over():
                self._take_up_changes()
                there = self.ring.wait_frames(self._readable(self._piece), WAIT_MS)
                self._record(self.ring.read(self._readable(there)))
                self.look_for_gaps(f"{self._path or self._names.template} could not be written in time:")
            self._leave_out_what_came_late()
            self._finish_file()
        except OSError as error:
            self.tell("failed", f"The end of {self._path} could not be written: {error.strerror or error}.")
        except Refusal as refusal:
            self.tell("failed", refusal.message)
        except CannotEncode as error:
            self.tell("failed", str(error))
        else:
            self.tell("ended", self._note)
        finally:
            self._drop_file()

    def _is_over(self) -> bool:
        return self._length is not None and self._given(self.ring.taken) >= self._length

    def _readable(self, frames: int) -> int:
        """So many frames, but at most a piece, and not beyond the next change of settings or the end."""
        ends = [self._piece]
        if self._changes:
            ends.append(self._changes[0][0] - self.ring.taken)
        if self._length is not None:
            ends.append(self._length - self._given(self.ring.taken))
        return max(0, min(frames, *ends))

    def _given(self, frames: int) -> int:
        """What went into the ring in the time of so many frames, counting those that found it full."""
        return frames + self.ring.missed

    def _leave_out_what_came_late(self) -> None:
        """The length may become known when more is recorded already: the audio thread does not wait for the news."""
        assert self._length is not None
        late = self._given(self.ring.taken) - self._length
        if late > 0 and self._file:
            self._file.cut(max(0, self._file.frames - late))

    def _record(self, block: Samples) -> None:
        done = 0
        while done < block.shape[1]:
            try:
                if self._file is None and time.monotonic() < self._retry_at:
                    self._lost += block.shape[1] - done
                    return
                file = self._file or self._begin_file(block.shape[1] - done)
                before = file.frames
                try:
                    file.write(block[:, done : done + self._room(file)])
                finally:
                    done += file.frames - before
                if self._room(file) == 0:
                    self._finish_file()
            except OSError as error:
                self._fall_over(error)
        if self._file and self._file.frames >= SLOWEST_RETRY_S * self._rate:
            self._retry_s = RETRY_S

    def _room(self, file: SoundFile) -> int:
        """How many frames the present segment may still get."""
        if not self._settings.segment_s:
            return self.ring.capacity
        return max(0, max(1, round(self._settings.segment_s * self._rate)) - file.frames)

    def _take_up_changes(self) -> None:
        newest = self._changes[-1][1] if self._changes else self._settings
        self.resize_buffer(newest.buffer_ms, writes=False)  # as soon as it is asked for
        while self._changes and self._changes[0][0] <= self.ring.taken:
            _, new = self._changes.popleft()
            old, self._settings = self._settings, new
            another = new.of_the_file != old.of_the_file
            if another:
                self._names = RecordingPath(new.path, new.format, self.surroundings.media)
                self._retry_at = 0.0
            if self._file and (another or self._room(self._file) == 0):
                try:
                    self._finish_file()
                except OSError as error:
                    self._fall_over(error)

    # ---- Files -----------------------------------------------------------------------------------------------------

    def _begin_file(self, pending: int) -> SoundFile:
        """Begins a file whose first frame is `pending` frames before the end of what was read."""
        backlog = pending + self.ring.written - self.ring.taken
        meant, path, raw = self._names.create(time.localtime(time.time() - backlog / self._rate))
        try:
            file = open_sound_file(raw, self._settings, self._names.suffix, self._rate, self.surroundings.channels)
        except BaseException:
            raw.close()
            path.unlink(missing_ok=True)
            raise
        with self._lock:
            self._file, self._path = file, path
            self._segments += 1
        self._note = "" if meant == path else f"There is a {meant.name} already: recording into {path.name}."
        self.tell("running", self._note)
        if self._settings.retention is not None:
            self._names.delete_older(self._settings.retention, keep=path)
        return file

    def _finish_file(self) -> None:
        if self._file:
            try:
                self._file.finish()
            finally:
                self._count_file()

    def _drop_file(self) -> None:
        """Closes the present file as well as the disk allows. One in which nothing is goes away."""
        if self._file:
            self._file.abandon()
            if self._file.frames == 0 and self._path:
                with contextlib.suppress(OSError):
                    self._path.unlink()
            self._count_file()

    def _count_file(self) -> None:
        with self._lock:
            file, self._file = self._file, None
            if file:
                self._frames += file.frames
                self._bytes += file.size if file.frames else 0
                self._clipped += file.clipped
                self._segments -= file.frames == 0

    def _fall_over(self, error: OSError) -> None:
        """Tells the trouble, and sets the time for another file."""
        place = self._path if self._file and self._path else Path(error.filename or self._names.template)
        self._drop_file()
        self._retry_at = time.monotonic() + self._retry_s
        pause = f"A new file is tried in {self._retry_s:.0f} s; what comes until then is lost."
        self._retry_s = min(2 * self._retry_s, SLOWEST_RETRY_S)
        self.tell("retrying", f"{trouble(error, place)} {pause}")


def rehearse(settings: RecordingSettings, channels: int, sample_rate: int, media: MediaRoots) -> dict[str, Any]:
    """Records a moment of silence beside where a recording would begin now, and takes it away again.

    Found: path, format, sample_rate and channels of the file, free_bytes of the disk. Refusal where it can't be; in any
    thread.
    """
    names = RecordingPath(settings.path, settings.format, media)
    encoding = ENCODINGS.get((settings.format, names.suffix))
    meant = names.at(time.localtime())
    folder = next(parent for parent in meant.parents if parent.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".tonnetz-test-", dir=folder) as scratch:
            raw = create(Path(scratch) / meant.name)
            try:
                file = open_sound_file(raw, settings, names.suffix, sample_rate, channels)
                file.write(np.zeros((channels, round(PIECE_S * sample_rate)), np.float32))
                file.finish()
            finally:
                raw.close()
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise Refusal("unavailable", trouble(error, meant)) from error
    except CannotEncode as error:
        raise Refusal("unavailable", str(error)) from error
    return {
        "path": str(meant),
        "format": settings.format,
        "sample_rate": sample_rate if encoding is None else nearest_rate(encoding, sample_rate),
        "channels": channels,
        "free_bytes": free,
    }


def open_sound_file(
    raw: RawFile, settings: RecordingSettings, suffix: str, sample_rate: int, channels: int
) -> SoundFile:
    """Begins a recording in a new file. CannotEncode, OSError."""
    if settings.format == "wav":
        return WavFile(raw, sample_rate, channels, settings.subtype)
    encoding = ENCODINGS[settings.format, suffix]
    return EncodedFile(raw, encoding, sample_rate, channels, settings.subtype, settings.bitrate_kbps)


def trouble(error: OSError, place: Path) -> str:
    """What is the matter with a disk that does not take a recording, and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"There is no space left for {place}: free some."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"The daemon may not write {place}: give its user the right to."
    reason = error.strerror or os.strerror(error.errno or errno.EIO)
    return f"{place} can't be written: {reason}. Look at its disk."
