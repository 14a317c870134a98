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

from tonnetz.daemon.problems import Problem, Refusal, refuse

from ..json_rpc import Limits, parse
from .params import TICKET
from .sockets import Socket, Sockets

if TYPE_CHECKING:
    from tonnetz.daemon.probing.monitoring import Figures
    from tonnetz.daemon.session import Session

LIMITS = Limits(message_bytes=1 << 20, depth=8)  # 10,000 node ids of 64 characters


def monitoring_socket(session: Session, sockets: Sockets) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of the route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        first = _from_query(request)
        end = session.probing.monitoring.subscribe(_wanted(session, first), lambda _figures: None)
        end()  # what is wrong with it is said before the connection becomes a WebSocket
        async with sockets.open(request, LIMITS.message_bytes) as socket:
            client = MonitoringClient(session, socket)
            try:
                await client.serve(first)
            finally:
                client.close()
        return socket.response

    return handle


class MonitoringClient:
    """One client. The figures that it has not been sent yet wait in one place, where newer ones take it over."""

    def __init__(self, session: Session, socket: Socket) -> None:
        self._session = session
        self._socket = socket
        self._end: Callable[[], None] | None = None
        self._newest: Figures | None = None
        self._wake = asyncio.Event()
        self._layout = 0  # the number of the one that the client knows
        self._pump = asyncio.create_task(self._send())

    async def serve(self, first: dict[str, Any]) -> None:
        self._want(first)
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                return
            try:
                self._want(parse(message.data.encode(), LIMITS))
            except Refusal as refusal:
                error = {"code": refusal.code, "name": refusal.name, "message": refusal.message, "data": refusal.data}
                await self._socket.say(msgspec.json.encode({"type": "error", "error": error}).decode())

    def close(self) -> None:
        self._pump.cancel()
        if self._end is not None:
            self._end()

    def _want(self, wanted: Any) -> None:
        """In place of what was wanted before; where it is refused, that stays."""
        end = self._session.probing.monitoring.subscribe(_wanted(self._session, wanted), self._offer)
        if self._end is not None:
            self._end()
        self._end = end

    def _offer(self, figures: Figures) -> None:
        self._newest = figures
        self._wake.set()

    async def _send(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            while True:
                await self._wake.wait()
                self._wake.clear()
                figures, self._newest = self._newest, None
                if figures is None:
                    continue
                await self._socket.say(figures.text)
                if figures.meters is not None:
                    if figures.layout_number != self._layout:
                        await self._socket.say(figures.layout)
                        self._layout = figures.layout_number
                    await self._socket.say(figures.meters)


def _wanted(session: Session, given: Any) -> Any:
    """A Wanted; a Refusal says what is wrong with it."""
    try:
        return session.probing.monitoring.wanted(given)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise refuse("invalid_params", [Problem("invalid_value", f"{text}.", place.rstrip("`"))]) from None


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
