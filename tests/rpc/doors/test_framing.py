"""rpc/doors/framing.py: the same messages come out, however the bytes arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonnetz.rpc.doors.framing import BrokenFrame, FrameReader

LIMIT = 1000


def reader_of(chunks: Sequence[bytes], ended: bool = True, limit: int = LIMIT) -> FrameReader:
    """A reader to which the chunks arrive one by one."""
    stream = asyncio.StreamReader()

    async def feed() -> None:
        for chunk in chunks:
            stream.feed_data(chunk)
            await asyncio.sleep(0)
        if ended:
            stream.feed_eof()

    feeding = asyncio.ensure_future(feed())
    reader = FrameReader(stream, limit)
    reader.feeding = feeding  # type: ignore[attr-defined]  # keeps the task alive
    return reader


async def messages(*chunks: bytes) -> list[bytes]:
    reader = reader_of(chunks)
    found = []
    while (message := await reader.next()) is not None:
        found.append(message)
    return found


async def test_one_message_a_line() -> None:
    assert await messages(b'{"a":1}\n[2]\r\n\n  \n3\n') == [b'{"a":1}', b"[2]", b"3"]


async def test_a_line_in_pieces_and_lines_in_one_piece() -> None:
    assert await messages(b"{", b'"a', b'":1}\n[2', b"]\n[3]\n[4]\n") == [b'{"a":1}', b"[2]", b"[3]", b"[4]"]


async def test_the_last_line_may_lack_its_newline() -> None:
    assert await messages(b"[1]\n[2]") == [b"[1]", b"[2]"]


async def test_content_length_is_recognised() -> None:
    first = b"Content-Length: 7\r\n\r\n[1,\n 2]"
    second = b"content-type: application/json\r\ncontent-length:3\r\n\r\n[3]"
    assert await messages(first + second) == [b"[1,\n 2]", b"[3]"]
    assert await messages(*(bytes([byte]) for byte in b"\r\n" + first)) == [b"[1,\n 2]"]


async def test_answers_use_the_framing_of_the_client() -> None:
    lines, headers = reader_of([b"[1]\n"]), reader_of([b"Content-Length: 3\r\n\r\n[1]"])
    await lines.next(), await headers.next()
    assert lines.wrap(b"[]") == b"[]\n" and headers.wrap(b"[]") == b"Content-Length: 2\r\n\r\n[]"


async def test_nothing_and_white_space_are_no_message() -> None:
    assert await messages() == [] and await messages(b" \r\n\n ") == []


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
@pytest.mark.parametrize("ending", [b"\n", b""])
async def test_a_line_may_be_as_long_as_the_limit(size: int, ending: bytes) -> None:
    reader = reader_of([b"x" * 600, b"x" * (size - 600) + ending])
    if size <= LIMIT:
        assert await reader.next() == b"x" * LIMIT
    else:
        with pytest.raises(BrokenFrame, match="1000 bytes; this line is longer"):
            await reader.next()


async def test_an_endless_line_is_given_up_early() -> None:
    reader = reader_of([b"x" * 600] * 3, ended=False)
    with pytest.raises(BrokenFrame):
        await asyncio.wait_for(reader.next(), 5)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"Content-Length: 1001\r\n\r\n", "Content-Length says 1001"),
        (b"Content-Length: -1\r\n\r\n", "need a Content-Length"),
        (b"Content-Length: 1e3\r\n\r\n", "need a Content-Length"),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", "need a Content-Length"),
        (b"Content-Type: x\r\n\r\n", "need a Content-Length"),
        (b"Content-Length: 10\r\n\r\n[1]", "after 3 of 10 bytes"),
        (b"Content-Length: 10\r\n", "within the headers"),
        (b"Content-" + b"x" * 9000, "may have 8192 bytes"),
    ],
)
async def test_broken_headers_are_told(data: bytes, complaint: str) -> None:
    with pytest.raises(BrokenFrame, match=complaint):
        await messages(data)


LINES = st.lists(st.binary(max_size=40).map(lambda line: b"[" + line.replace(b"\n", b"") + b"]"), max_size=6)


@given(lines=LINES, cuts=st.lists(st.integers(0, 250), max_size=10), headers=st.booleans())
def test_where_the_bytes_are_cut_does_not_matter(lines: list[bytes], cuts: list[int], headers: bool) -> None:
    if headers:
        data = b"".join(b"Content-Length: %d\r\n\r\n%b" % (len(line), line) for line in lines)
    else:
        data = b"".join(line + b"\n" for line in lines)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    chunks = [data[begin:end] for begin, end in pairwise(places) if end > begin]
    assert asyncio.run(messages(*chunks)) == lines
