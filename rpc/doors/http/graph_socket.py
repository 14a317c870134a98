"""`/api/ws/graph`: JSON-RPC in text frames, and events as they happen, for editors and whoever else watches.

Whoever connects is told of all events at once; `events.subscribe` chooses among them. A client that comes back connects
with `?events=off` and asks for those `since` the last one that it has.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tonnetz.daemon.problems import Refusal

from ...method_table import Call
from ..event_stream import EventStream
from ..json_rpc import JsonRpc, encoded_error
from .sockets import Socket, Sockets

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session


def graph_socket(
    session: Session, json_rpc: JsonRpc, sockets: Sockets
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of the route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        async with sockets.open(request, json_rpc.limits.message_bytes) as socket:
            connection = GraphConnection(session, socket, json_rpc)
            try:
                await connection.serve(events=request.query.get("events") != "off")
            finally:
                connection.leave()
        return socket.response

    return handle


class GraphConnection:
    """One client: reads, answers and sends events."""

    def __init__(self, session: Session, socket: Socket, json_rpc: JsonRpc) -> None:
        self._events = EventStream(session, socket.caller, self._send)
        self._call = Call(session, socket.caller, self._events)
        self._socket = socket
        self._json_rpc = json_rpc

    async def serve(self, events: bool) -> None:
        """Answer, one message after the other, until the client has said all. `events`: tell of them from the start."""
        if events:
            self._events.subscribe(None)
            self._events.start()
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                answer = await self._json_rpc.answer(message.data.encode(), self._call)
            elif message.type is WSMsgType.BINARY:
                answer = encoded_error(None, Refusal("invalid_request", "JSON-RPC comes in text frames."))
            else:
                return
            if answer is not None:
                await self._send(answer)
            self._events.start()  # only now: first the answer, then events

    def leave(self) -> None:
        """The client is gone."""
        self._events.leave()

    async def _send(self, message: bytes) -> None:
        await self._socket.say(message.decode())
