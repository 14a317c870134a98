"""The outside half of a file player: decodes a sound file into a ring, ahead of the audio thread.

The thread keeps more than a second ready, and wakes when half a second is missing: to wake takes longer than to
decode a tenth of a second. Loops join without a gap: what follows the last frame is the first, at the file's own
rate, before the rate is changed. In trouble silence goes into the ring instead, so that neither a real-time nor an
offline clock is held up. A missing file or a failing disk is tried again every second, a file that can't be played
once it has changed.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..problems import Refusal
from .audio_file import AudioFile, UnreadableFile, version
from .endpoint import MediaRoots, Samples, StateName, Surroundings
from .passage import Piece, ReadingSettings, pieces
from .playhead import Mark, Playhead
from .rate_converter import RateConverter
from .threaded import ThreadedEndpoint

# So much of what is kept ready is missing when the thread wakes: the disk may hang for as long as the rest plays.
REFILL = 1 / 3
PIECE_S = 0.1  # of silence at a time, and how often the end of it is looked for
QUIET_S = 0.2  # of silence kept in the ring while waiting, so that the sound sets in soon
RETRY_S = 1.0  # as the node's help says
FADE_S = 0.02  # of what is cut short
WAIT_MS = 1000  # how long one wait for the ring takes at most, where nobody plays from it
QUIET_WAIT_MS = 100  # the same while silent: what there is to be played is looked for in between


class FileReading(ThreadedEndpoint):
    """Plays one file, from `position_s` (else `start_s`) on. Another path or position asks for another FileReading."""

    def __init__(self, node_id: str, settings: ReadingSettings, surroundings: Surroundings) -> None:
        self._rate = surroundings.sample_rate
        self._piece = round(PIECE_S * self._rate)
        self._quiet = max(round(QUIET_S * self._rate), 4 * surroundings.block_frames)
        super().__init__(node_id, surroundings, settings.buffer_ms)
        self._settings = settings
        self._next_s = settings.first_s  # what is decoded next
        self._playhead = Playhead(self._rate, self._next_s)
        self._about: dict[str, Any] = {"path": settings.path}
        self._file: AudioFile | None = None
        self._draining = False
        self._tried: tuple[int, ...] = ()  # the version of the file that was opened last

    def configure(self, config: Mapping[str, Any]) -> None:
        """Loop and ends change while it plays, for all that is not in the ring yet."""
        self._settings = msgspec.convert(config, ReadingSettings)
        self.ring.wake()  # it may be another buffer

    def drain(self) -> None:
        self._draining = True
        self.ring.wake()

    def close(self, length: int | None = None) -> None:  # noqa: ARG002 - a player waits for nothing
        self.ending.set()
        self.ring.close()

    def detail(self) -> dict[str, Any]:
        """Keys: path, position_s; once it is open codec, sample_rate, channels (the file's), duration_s; where there
        are such title, artist, damaged_packets.
        """
        damaged = self._file.damaged if self._file else 0
        return {
            **self._about,
            "position_s": round(self._playhead.position_s(self.ring.taken), 3),
            **({"damaged_packets": damaged} if damaged else {}),
        }

    # ---- The thread ------------------------------------------------------------------------------------------------

    def work(self) -> None:
        while not self.ending.is_set():
            try:
                self._play()
                break
            except OSError as error:
                self._pause(
                    "retrying", f"{trouble(error, self._settings.path, self._next_s)} It is tried again every second."
                )
            except UnreadableFile as error:
                self._wait_for_change(str(error))
            except Refusal as refusal:  # a link was moved since the path was checked
                self.tell("failed", refusal.message)
                return
        self.ring.close()
        while self.ring.taken < self.ring.written and not self.ending.wait(PIECE_S):
            pass
        self.tell("ended")

    def _play(self) -> None:
        """To the end of the passage, or of the node."""
        self._tried = self._version()
        self._file = file = AudioFile(self.surroundings.media.to_play(self._settings.path))
        try:
            self._about = _description(file)
            mix = ChannelMix(file, self.surroundings.channels)
            at = round(self._next_s * file.rate)
            while True:
                self._play_from(at, file, mix)
                if self.ending.is_set() or self._settings.on_end == "stop" or not self._hold():
                    return
                at = round(self._settings.start_s * file.rate)
        finally:
            file.close()

    def _play_from(self, at: int, file: AudioFile, mix: ChannelMix) -> None:
        converter = RateConverter(self.surroundings.channels, file.rate, self._rate)
        begin, sent = self.ring.written, 0
        try:
            for piece in pieces(file, lambda: self._settings, at):
                if self.ending.is_set():
                    return
                if piece.jumps:
                    self._mark(begin + -(-sent * self._rate // file.rate), piece, file.rate)
                sent += piece.block.shape[1]
                self._write(converter.push(mix(piece.block)))
                self._next_s = (piece.at + (0 if piece.period else piece.block.shape[1])) / file.rate
                if piece.block.shape[1] and not self.is_told("running"):
                    self.forgive_gaps()
                    self.tell("running")
                self.look_for_gaps(f"{file.path} could not be read in time:")
        finally:
            self._write(converter.finish())

    def _hold(self) -> bool:
        """Silence at the end, until the loop is switched on (True) or the node ends (False)."""
        self._stand_still()
        self.tell("running", "Holds at its end. Set `loop` to go on, or `position_s` to play from there.")
        while not self.ending.is_set():
            if self._settings.loop:
                return True
            self._be_quiet()
        return False

    def _wait_for_change(self, message: str) -> None:
        """Is silent until there is reason to hope: another file of the name, or other settings."""
        settings = self._settings
        while self._settings is settings and self._version() == self._tried and not self.ending.is_set():
            self._pause("failed", message)

    def _version(self) -> tuple[int, ...]:
        """Of the file: changes when its contents do, or when it comes or goes."""
        try:
            return version(self.surroundings.media.to_play(self._settings.path))
        except OSError:
            return ()

    def _pause(self, name: StateName, message: str) -> None:
        """Tells a trouble, once, and is silent for a second."""
        self._stand_still()
        if not self.is_told(name, message):
            self.tell(name, message)
        until = time.monotonic() + RETRY_S
        while time.monotonic() < until and not self.ending.is_set():
            self._be_quiet()

    # ---- The ring --------------------------------------------------------------------------------------------------

    def _mark(self, frame: int, piece: Piece, rate: int) -> None:
        period_s = piece.period / rate if piece.period else None
        self._playhead.mark(Mark(frame, piece.at / rate, period_s=period_s), self.ring.taken)

    def _stand_still(self) -> None:
        self._playhead.mark(Mark(self.ring.written, self._next_s, moves=False), self.ring.taken)

    def _write(self, block: Samples) -> None:
        """Waits until the block has gone into the ring, or the end has begun."""
        fade = round(FADE_S * self._rate)
        done = 0
        while done < block.shape[1] and not self.ending.is_set():
            if self._draining and block.shape[1] - done >= fade:
                self._write_last(block[:, done : done + fade])
                return
            ready = self.buffer_frames
            room = self._room(ready) or self._room(ready, round(REFILL * ready), WAIT_MS)
            done += self.ring.write(block[:, done : done + room])

    def _write_last(self, block: Samples) -> None:
        """Lets a block fade out; it is the end."""
        way = np.arange(block.shape[1], dtype=np.float32) / np.float32(block.shape[1])
        faded = block * (np.float32(0.5) + np.float32(0.5) * np.cos(np.float32(np.pi) * way))
        done = 0
        while done < faded.shape[1] and not self.ending.is_set():
            done += self.ring.write(faded[:, done : done + self._room(self.ring.capacity, 1, QUIET_WAIT_MS)])
        self.ending.set()

    def _be_quiet(self) -> None:
        if self._draining:
            self.ending.set()
        room = self._room(self._quiet, self._piece, QUIET_WAIT_MS)
        self.ring.write(np.zeros((self.ring.channels, room), np.float32))

    def _room(self, level: int, wanted: int = 0, timeout_ms: int = 0) -> int:
        """How many frames fit below `level`, once `wanted` do or the time is up."""
        self.resize_buffer(self._settings.buffer_ms, writes=True)
        level = min(level, self.buffer_frames)
        wanted = min(wanted, level)
        beyond = self.ring.capacity - level
        return max(0, self.ring.wait_space(beyond + wanted, timeout_ms) - beyond)


class ChannelMix:
    """From a file's channels to the node's. UnreadableFile where nobody could say how."""

    def __init__(self, file: AudioFile, channels: int) -> None:
        self._pair = (file.channels, channels)
        if file.channels != channels and self._pair not in ((1, 2), (2, 1)):
            raise UnreadableFile(
                f"{file.path} has {file.channels} channels, the player {channels}. "
                f"Set `channels` to {file.channels}, and choose from them with a channel_map."
            )

    def __call__(self, block: Samples) -> Samples:
        if self._pair == (1, 2):
            return np.repeat(block, 2, axis=0)
        if self._pair == (2, 1):
            return np.float32(0.5) * (block[:1] + block[1:])
        return block


def examine(settings: ReadingSettings, channels: int, media: MediaRoots) -> dict[str, Any]:
    """What a player would find: path, codec, sample_rate, channels, duration_s; where there are such title, artist.

    Opens the file and decodes its beginning. Refusal where a player could not play it; in any thread.
    """
    try:
        file = AudioFile(media.to_play(settings.path))
        try:
            ChannelMix(file, channels)
            return _description(file)
        finally:
            file.close()
    except OSError as error:
        name = "not_found" if isinstance(error, FileNotFoundError) else "unavailable"
        raise Refusal(name, trouble(error, settings.path, settings.first_s)) from error
    except UnreadableFile as error:
        raise Refusal("unavailable", str(error)) from error


def trouble(error: OSError, name: str, at_s: float) -> str:
    """What is the matter with a file that can't be opened or read on, and what to do."""
    path = Path(error.filename or name)
    if isinstance(error, FileNotFoundError):
        return f"There is no file {path}.{_near(path)}"
    if isinstance(error, PermissionError):
        return f"The daemon may not read {path}: give its user the right to."
    return f"{path} can't be read at {at_s:.1f} s: {error.strerror or error}. Look at its disk."


def _description(file: AudioFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "codec": file.codec,
        "sample_rate": file.rate,
        "channels": file.channels,
        "duration_s": None if file.duration_s is None else round(file.duration_s, 3),
        **file.tags,
    }


def _near(path: Path) -> str:
    """` Did you mean 'x'?` where a file of a similar name is there."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""
