"""The order in which a file's frames are played, on a file that is only pretended: frame n is the number n."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonnetz.daemon.endpoints.audio_file import UnreadableFile
from tonnetz.daemon.endpoints.passage import ReadingSettings, pieces

RATE = 1000


class Numbers:
    """Stands for an AudioFile of `length` frames at 1 kHz that comes in blocks of `piece`, passing over what is skipped."""

    rate = RATE
    path = "numbers.wav"
    channels = 1

    def __init__(self, length: int, piece: int) -> None:
        self.length = length
        self.piece = piece
        self.readings = 0
        self.duration_s = length / RATE

    def blocks(self, start: int) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
        self.readings += 1
        for at in range(0, self.length, self.piece):
            block = np.arange(at, min(at + self.piece, self.length), dtype=np.float32)[np.newaxis]
            yield block[:, max(0, start - at) :]


def settings(start: int, end: int | None, loop: bool) -> ReadingSettings:
    return ReadingSettings(
        path="numbers.wav",
        loop=loop,
        start_s=start / RATE,
        end_s=None if end is None else end / RATE,
        on_end="stop",
        position_s=None,
        buffer_ms=1000.0,
    )


def frames(file: Numbers, wanted: ReadingSettings, at: int, count: int) -> list[int]:
    """The first so many frames that are played, and that each piece says where it is."""
    played: list[int] = []
    expected: int | None = None
    for piece in pieces(file, lambda: wanted, at):  # type: ignore[arg-type]
        block = piece.block[0].astype(int).tolist()
        if block:
            assert block[0] == piece.at
            assert piece.jumps or piece.at == expected
            assert piece.period is None or block == [piece.at + k % piece.period for k in range(len(block))]
            expected = None if piece.period else piece.at + len(block)
        played += block
        if len(played) >= count:
            break
    return played[:count]


@given(
    length=st.integers(1, 300),
    piece=st.integers(1, 50),
    start=st.integers(0, 320),
    end=st.none() | st.integers(1, 320),
    at=st.integers(0, 320),
)
def test_once(length: int, piece: int, start: int, end: int | None, at: int) -> None:
    stop = length if end is None else min(max(end, start + 1), length)  # a passage has a frame at least
    assert frames(Numbers(length, piece), settings(start, end, False), at, 1000) == list(range(at, stop))


@given(
    length=st.integers(1, 300),
    piece=st.integers(1, 50),
    start=st.integers(0, 299),
    size=st.none() | st.integers(1, 300),
    at=st.integers(0, 320),
)
def test_over_and_over(length: int, piece: int, start: int, size: int | None, at: int) -> None:
    start = min(start, length - 1)
    end = None if size is None else start + size
    stop = length if end is None else min(end, length)
    wanted = list(range(at, stop))
    while len(wanted) < 1000:
        wanted += range(start, stop)
    assert frames(Numbers(length, piece), settings(start, end, True), at, 1000) == wanted[:1000]


def test_a_short_passage_is_read_once() -> None:
    file = Numbers(300, 50)
    frames(file, settings(0, None, True), 0, 3000)
    assert file.readings == 1


def test_a_long_passage_is_read_every_time() -> None:
    file = Numbers(6 * RATE, 100)
    frames(file, settings(0, None, True), 0, 15 * RATE)
    assert file.readings == 3


@given(changes=st.lists(st.tuples(st.integers(0, 250), st.none() | st.integers(1, 300)), min_size=1, max_size=5))
def test_settings_may_change_with_every_piece(changes: list[tuple[int, int | None]]) -> None:
    """Whatever happens meanwhile: frames follow one another, or the start does, and nothing beyond the end is played."""
    file = Numbers(300, 7)
    wanted = [settings(start, None if size is None else start + size, True) for start, size in changes]
    starts = {round(each.start_s * RATE) for each in wanted}
    now = [wanted[0]]
    before = None
    for number, piece in enumerate(pieces(file, lambda: now[0], 0)):  # type: ignore[arg-type]
        end = 300 if now[0].end_s is None else min(300, round(now[0].end_s * RATE))
        for frame in piece.block[0].astype(int).tolist():
            assert frame < end
            assert before is None or frame == before + 1 or frame in starts
            before = frame
        now[0] = wanted[number % len(wanted)]
        if number > 200:
            break


def test_an_empty_loop_ends_at_once() -> None:
    with pytest.raises(UnreadableFile, match=r"start_s \(0.5 s\) lies behind its end at 0.300 s. Set an earlier one."):
        frames(Numbers(300, 7), settings(500, None, True), 500, 10)


def test_a_loop_switched_on_at_the_end_is_no_empty_one() -> None:
    wanted = settings(100, None, False)
    assert frames(Numbers(300, 7), wanted, 300, 10) == []
    assert frames(Numbers(300, 7), msgspec.structs.replace(wanted, loop=True), 300, 3) == [100, 101, 102]
