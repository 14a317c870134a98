"""A sound file, decoded: WAV, FLAC, MP3, Ogg, AAC and their kin through FFmpeg, from any frame on, exact to the
frame.

Frames are counted at the file's own rate, from the first that a listener is meant to hear: the delay of lossy
encoders is left out where the file tells it (LAME header, Opus pre-skip, MP4 edit list).
"""

from __future__ import annotations

import itertools
import stat
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from .endpoint import Samples

# No playlists, no image sequences, no network: what is opened is this file and nothing that it names.
_OPTIONS = {"format_whitelist": "wav,w64,aiff,caf,flac,mp3,ogg,aac,mov,matroska", "protocol_whitelist": "file"}
_KINDS = "WAV, FLAC, MP3, Ogg (Vorbis, Opus, FLAC), AAC/M4A, AIFF, CAF or Matroska"
# decoded and dropped after a seek: Opus needs 0.3 s to come back bit for bit, FLAC seeks up to 0.1 s late
_PREROLL_S = 1
_PIECE_S = 0.1  # a block; smaller ones would take the interpreter lock more often than the work is worth
_HOLE_S = 0.002  # time stamps in milliseconds may jump by one
_PLANES = 7  # PyAV reads no more planes of a frame than that

# FFmpeg keeps 24 bits in the upper part of s32
_SCALES = {"u8": 1 / 128, "s16": 1 / 32768, "s32": 1 / 2147483648, "flt": 1.0, "dbl": 1.0}


class UnreadableFile(Exception):
    """The file can't be played as it is. The message says what is wrong and what to do."""


class AudioFile:
    """An open file. OSError where the disk fails, UnreadableFile where the contents do; both from every method."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0  # places where something is missing or could not be decoded; it is left out
        self.rate = self.channels = 0  # not known yet
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a plain file"
            raise UnreadableFile(f"{path} is {kind}. Name a sound file.")
        self._open()

    def _open(self) -> None:
        self._opened = version(self.path)
        try:
            self._container = av.open(str(self.path), mode="r", options=_OPTIONS, metadata_errors="replace")
        except av.error.FFmpegError as error:
            if isinstance(error, OSError):
                raise
            raise UnreadableFile(f"{self.path} is not a sound file that can be read ({_KINDS}).") from error
        try:
            if not self._container.streams.audio:
                raise UnreadableFile(f"{self.path} has no sound in it.")
            self._stream = self._container.streams.audio[0]
            self._begin()
        except BaseException:
            self._container.close()
            raise

    def _begin(self) -> None:
        """Decodes the first frame: only that tells rate and channels for certain (AAC may double both)."""
        frames = self._decoded()
        first = next(frames, None)
        if first is None:
            raise UnreadableFile(f"Nothing in {self.path} could be decoded; the file is empty or damaged.")
        self._check(first)
        self.rate, self.channels = first.sample_rate, first.layout.nb_channels
        self.codec = self._stream.codec_context.name.removesuffix("float")  # mp3float is FFmpeg's business
        self._origin = _time(first)
        self._frames: Iterator[AudioFrame] | None = itertools.chain([first], frames)
        self._packer: AudioResampler | None = None

    def close(self) -> None:
        self._container.close()

    @property
    def duration_s(self) -> float | None:
        """As the file tells it; of damaged files and streams it may be wrong or unknown."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return self._container.duration / 1e6 if self._container.duration else None

    @property
    def tags(self) -> dict[str, str]:
        """Title and artist, where the file has them."""
        found: dict[str, str] = {}
        for tags in (self._stream.metadata, self._container.metadata):
            lower = {name.lower(): text for name, text in tags.items()}
            found |= {name: lower[name] for name in ("title", "artist") if lower.get(name)}
        return found

    def blocks(self, start: int) -> Iterator[Samples]:
        """All frames from `start` to the end, as (channels, n) blocks of about 0.1 s.

        Blocks without frames come while what lies before `start` is passed over, so that the caller may lose patience.
        One iteration at a time.
        """
        piece = round(self.rate * _PIECE_S)
        length = self._length
        at, frames = self._frames_from(start)
        kept: list[Samples] = []
        gathered = passed = 0
        for frame in frames:
            samples = self._planar(frame)
            begin, end = max(start - at, 0), samples.shape[1]
            if length is not None:
                end = min(end, length - at)
            at += samples.shape[1]
            passed += samples.shape[1]
            if begin < end:
                kept.append(samples[:, begin:end])
                gathered += end - begin
            if gathered >= piece or passed >= 100 * piece:
                yield self._joined(kept)
                kept, gathered, passed = [], 0, 0
        if gathered:
            yield self._joined(kept)

    def _joined(self, kept: list[Samples]) -> Samples:
        return np.concatenate(kept, axis=1) if kept else np.zeros((self.channels, 0), np.float32)

    @property
    def _length(self) -> int | None:
        """Frames of an MP4, whose last AAC packet is filled up with silence. Other containers cut by themselves."""
        duration, unit = self._stream.duration, self._stream.time_base
        if "mov" not in self._container.format.name or not duration or not unit:
            return None
        ms = duration * unit * 1000
        # Most writers count in whole milliseconds, rounded either way: rather a millisecond of silence than one of
        # sound lost.
        return round((ms + (1 if ms.denominator == 1 else 0)) * self.rate / 1000)

    # ---- Going to a frame ------------------------------------------------------------------------------------------

    def _frames_from(self, start: int) -> tuple[int, Iterator[AudioFrame]]:
        """Decoded frames from some place at or before `start`, and which place that is."""
        if start > _PREROLL_S * self.rate and self._counts_exactly:
            found = self._seek(start)
            if found:
                return found
        return 0, self._fresh()

    def _fresh(self) -> Iterator[AudioFrame]:
        """The frames from the first on, of the newly opened container: Ogg demuxers count wrongly once they have been
        elsewhere, and there may be another file of that name by now. Not of PCM that is still the same, where it takes
        FFmpeg 25 ms to find out that it is no DTS in disguise."""
        if self._frames is None and self.codec.startswith("pcm_") and version(self.path) == self._opened:
            self._container.seek(0, stream=self._stream)
            return self._decoded()
        if self._frames is None:
            self._container.close()
            self._open()
        frames, self._frames = self._frames, None
        assert frames is not None
        return frames

    @property
    def _counts_exactly(self) -> bool:
        """Whether the container's time stamps can be relied on, to the frame, after a seek.

        Matroska's count milliseconds, and within a page of Ogg FLAC they are guessed.
        """
        if self._container.format.name == "ogg" and self.codec == "flac":
            return False
        return self._stream.time_base is not None and self._stream.time_base <= Fraction(1, self.rate)

    def _seek(self, start: int) -> tuple[int, Iterator[AudioFrame]] | None:
        self._fresh()
        target = Fraction(start, self.rate) - _PREROLL_S + self._origin
        assert self._stream.time_base is not None
        try:
            self._container.seek(int(target / self._stream.time_base), stream=self._stream)
        except av.error.FFmpegError:  # some files can't be sought in, FLAC not near its end: then from the start
            return None
        frames = self._decoded()
        first = next(frames, None)
        if first is None or first.pts is None:
            return None
        at = round((_time(first) - self._origin) * self.rate)
        return (at, itertools.chain([first], frames)) if at <= start else None

    # ---- Decoding --------------------------------------------------------------------------------------------------

    def _decoded(self) -> Iterator[AudioFrame]:
        """Frames from where the container stands to its end. What can't be decoded is counted and left out."""
        packets = self._container.demux(self._stream)
        unit = float(self._stream.time_base or 0)
        due_s: float | None = None
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.FFmpegError as error:
                if isinstance(error, OSError):
                    raise
                self.damaged += 1
                continue  # a demuxer that failed has ended
            for frame in frames:
                begins_s = (frame.pts or 0) * unit
                if due_s is not None and begins_s > due_s + _HOLE_S:
                    self.damaged += 1
                due_s = begins_s + frame.samples / frame.sample_rate
                yield frame

    def _check(self, frame: AudioFrame) -> None:
        rate, channels = frame.sample_rate, frame.layout.nb_channels
        if self.rate and (rate, channels) != (self.rate, self.channels):
            raise UnreadableFile(
                f"{self.path} changes from {self.rate} Hz, {self.channels} channels to {rate} Hz, {channels} channels "
                "on its way; such a file can't be played. Convert it."
            )

    def _planar(self, frame: AudioFrame) -> Samples:
        self._check(frame)
        channels = self.channels
        if frame.format.is_planar and channels > _PLANES:
            if self._packer is None:
                self._packer = AudioResampler(format=frame.format.packed)
            frame = self._packer.resample(frame)[0]
        kind = frame.format.name.removesuffix("p")
        if kind not in _SCALES:
            raise UnreadableFile(f"{self.path} holds samples of a kind ({kind}) that can't be played. Convert it.")
        samples = frame.to_ndarray()
        if not frame.format.is_planar:
            samples = samples.reshape(-1, channels).T
        block = samples.astype(np.float32)
        if kind == "u8":
            block -= np.float32(128)
        if _SCALES[kind] != 1.0:
            block *= np.float32(_SCALES[kind])  # powers of two: 24 bits come through unrounded
        return block


def version(path: Path) -> tuple[int, ...]:
    """Changes when the file's contents do, or when another takes its name. OSError where there is none."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _time(frame: AudioFrame) -> Fraction:
    """When a frame begins, in seconds by the container's count."""
    if frame.pts is None or frame.time_base is None:
        return Fraction(0)
    return frame.pts * frame.time_base
