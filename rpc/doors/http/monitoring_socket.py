"""`/api/ws/monitoring`: live figures, as many a second as the client wants, the newest always first.

What is wanted may stand in the query (`?rate=30&nodes=eq&nodes=mix&meters=binary`), and changes whenever the client
sends an object such as `{"rate": 30, "spectra": [{"port": "mix.out"}]}`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSMsgType, web

from tonnetz.daemon.problems import Refusal

from ..json_rpc import Limits, parse
from .answers import told
from .params import TICKET
from .sockets import Socket, Sockets

if TYPE_CHECKING:
    from tonnetz.daemon.probing.monitoring import Figures
    from tonnetz.daemon.session import Session

LIMITS = Limits(message_bytes=1 << 20, depth=8)  # 10,000 node ids of 64 characters


def monitoring_socket(session: Session, sockets: Sockets) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of the route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        client = MonitoringClient(session)
        try:
            client.want(_from_query(request))  # what is wrong with it is said before this becomes a WebSocket
            async with sockets.open(request, LIMITS.message_bytes) as socket:
                await client.serve(socket)
        finally:
            client.close()
        return socket.response

    return handle


class MonitoringClient:
    """One client. The figures that it has not been sent yet wait in one place, where newer ones take it over."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._end: Callable[[], None] | None = None
        self._newest: Figures | None = None
        self._wake = asyncio.Event()
        self._layout = 0  # the number of the one that the client knows

    async def serve(self, socket: Socket) -> None:
        """Send figures, and take other wishes, until the client leaves."""
        pump = asyncio.create_task(self._send(socket))
        try:
            async for message in socket:
                if message.type is not WSMsgType.TEXT:
                    return
                try:
                    self.want(parse(message.data.encode(), LIMITS))
                except Refusal as refusal:
                    await socket.say(msgspec.json.encode({"type": "error", "error": told(refusal)}).decode())
        finally:
            pump.cancel()

    def close(self) -> None:
        """The client is gone."""
        if self._end is not None:
            self._end()

    def want(self, wanted: Any) -> None:
        """In place of what was wanted before; where it is refused, that stays."""
        monitoring = self._session.probing.monitoring
        end = monitoring.subscribe(monitoring.wanted(wanted), self._offer)
        if self._end is not None:
            self._end()
        self._end = end

    def _offer(self, figures: Figures) -> None:
        self._newest = figures
        self._wake.set()

    async def _send(self, socket: Socket) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                figures, self._newest = self._newest, None
                if figures is None:
                    continue
                await socket.say(figures.text)
                if figures.meters is not None:
                    if figures.layout_number != self._layout:
                        await socket.say(figures.layout)
                        self._layout = figures.layout_number
                    await socket.say(figures.meters)


def _from_query(request: web.Request) -> dict[str, Any]:
    query = request.query
    given: dict[str, Any] = {name: query[name] for name in query if name not in (TICKET, "nodes", "rate")}
    if "rate" in query:
        with contextlib.suppress(ValueError):
            given["rate"] = float(query["rate"])
        given.setdefault("rate", query["rate"])
    if "nodes" in query:
        given["nodes"] = query.getall("nodes")
    return given
