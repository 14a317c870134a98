"""What of a file is played in which order: a passage, once or over and over, as settings say that may change
meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Literal

import msgspec
import numpy as np

from .audio_file import AudioFile, UnreadableFile
from .endpoint import Samples

SHORT_S = 5.0  # a passage up to this is decoded once and kept, however often it is played
REPEAT_S = 0.1  # a kept passage shorter than this is put out several times at once


class ReadingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What of a player's configuration decides what is heard. Times are in the file."""

    path: str
    loop: bool
    start_s: float
    end_s: float | None
    on_end: Literal["stop", "hold"]
    position_s: float | None
    buffer_ms: float

    @property
    def first_s(self) -> float:
        return self.start_s if self.position_s is None else self.position_s


class Piece(msgspec.Struct, frozen=True):
    """A block (channels, n) at the file's rate that begins at frame `at` of the file."""

    block: Samples
    at: int
    jumps: bool = False  # it does not go on where the piece before it ended
    period: int | None = None  # the block is the same passage of so many frames several times over


class _Kept(msgspec.Struct, frozen=True):
    """All of the file from `start` to where it ended, under this `end`."""

    start: int
    end: int | None
    block: Samples


def pieces(file: AudioFile, settings: Callable[[], ReadingSettings], at: int) -> Iterator[Piece]:
    """From frame `at` to the end of the passage, and while it loops, from its start again.

    A piece may be without frames: then the file is being passed over up to where the passage begins.
    UnreadableFile where a loop would be empty.
    """
    kept: _Kept | None = None
    while True:
        if kept and (kept.start, kept.end) == (at, _end(file, settings())):
            frames = kept.block.shape[1]
            times = -(-round(REPEAT_S * file.rate) // frames)
            yield Piece(np.tile(kept.block, (1, times)), at, jumps=True, period=frames)
        else:
            kept = yield from _once(file, settings, at)
        if not settings().loop:
            return
        at = _start(file, settings())


def _once(file: AudioFile, settings: Callable[[], ReadingSettings], start: int) -> Generator[Piece, None, _Kept | None]:
    """Plays from frame `start` to the end; then gives what it has played, unless that was long or nothing."""
    blocks: list[Samples] | None = []
    at, end, found = start, None, 0
    for block in file.blocks(start):
        found += block.shape[1]
        end = _end(file, settings())
        if end is not None:
            block = block[:, : max(end - at, 0)]
        yield Piece(block, at, jumps=at == start)
        at += block.shape[1]
        if blocks is not None:
            blocks.append(block)
        if at - start > SHORT_S * file.rate:
            blocks = None
        if end is not None and at >= end:
            break
    else:
        if found == 0 and settings().loop and start == _start(file, settings()):
            raise UnreadableFile(_nothing_to_loop(file, settings()))
    whole = end is None or at <= end  # else the end was moved forward over what had been played
    return _Kept(start, end, np.concatenate(blocks, axis=1)) if blocks and whole and at > start else None


def _start(file: AudioFile, settings: ReadingSettings) -> int:
    return round(settings.start_s * file.rate)


def _end(file: AudioFile, settings: ReadingSettings) -> int | None:
    """At least a frame behind the start, however short the passage."""
    if settings.end_s is None:
        return None
    return max(round(settings.end_s * file.rate), _start(file, settings) + 1)


def _nothing_to_loop(file: AudioFile, settings: ReadingSettings) -> str:
    length = "its end" if file.duration_s is None else f"its end at {file.duration_s:.3f} s"
    start = f"start_s ({settings.start_s:g} s)"
    return f"Nothing of {file.path} is left to play: {start} lies behind {length}. Set an earlier one."
