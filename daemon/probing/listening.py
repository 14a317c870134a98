"""Listening along at a port, as long as somebody likes. Who can't keep up misses some, and holds up nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple

from ..engine.core import Samples
from .places import Place
from .taps import Tap

if TYPE_CHECKING:
    from ..endpoints.live_stream import StreamFormat
    from ..session import Session

PIECE_S = 0.04  # the sound comes in pieces of so many seconds, or what blocks there are by then
GONE_S = 2.0  # that a port may be away while the graph is rebuilt


class Piece(NamedTuple):
    """Samples from `frame` on, and how many before them were missed."""

    frame: int
    missed: int
    samples: Samples


class Listener:
    """Somebody who listens at a port; to be closed. Iterating gives what comes from now on, and ends with the port."""

    def __init__(self, session: Session, tap: Tap) -> None:
        self._session = session
        self._tap = tap
        self._next = tap.span[1]

    @property
    def place(self) -> Place:
        return self._tap.place

    async def pieces(self) -> AsyncIterator[Piece | None]:
        """None: nothing came in the meantime, as the engine is held, say."""
        away_s = 0.0
        while away_s < GONE_S:
            await asyncio.sleep(PIECE_S)
            away_s = 0.0 if self._tap.is_there else away_s + PIECE_S
            begin, end = self._tap.span
            first = max(self._next, begin)
            samples = self._tap.read(first, end - first) if first < end else None
            if samples is None:
                yield None
                continue
            # At the very beginning there is nothing to miss yet.
            yield Piece(first, first - self._next if self._next else 0, samples)
            self._next = end

    async def encoded(self, format: StreamFormat) -> AsyncIterator[bytes]:
        """The pieces as a stream that players understand, empty where none is ready. What was missed is left out."""
        from ..endpoints.live_stream import live_stream  # FFmpeg takes a while to load

        stream = await asyncio.to_thread(live_stream, format, self._session.engine.sample_rate, self.place.channels)
        async for piece in self.pieces():
            yield await asyncio.to_thread(stream.push, piece.samples) if piece else b""

    def close(self) -> None:
        self._tap.close()
