"""`/api/ws/graph`: JSON-RPC in text frames, and events as they happen, for editors and whoever else watches.

Whoever connects is told of all events at once; `events.subscribe` chooses among them. A client that comes back connects
with `?events=off` and asks for those `since` the last one that it has.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from aiohttp import WSMsgType, web

from tonnetz.daemon.events import Subscription
from tonnetz.daemon.problems import Refusal

from ...method_table import Call
from ..json_rpc import JsonRpc, encoded_error, encoded_event
from .sockets import Socket, Sockets

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

log = logging.getLogger(__name__)


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
        self._call = Call(session, socket.caller, self)
        self._socket = socket
        self._json_rpc = json_rpc
        self._subscription: Subscription | None = None
        self._pump: asyncio.Task[None] | None = None

    async def serve(self, events: bool) -> None:
        """Answer, one message after the other, until the client has said all. `events`: tell of them from the start."""
        if events:
            self.subscribe(None)
            self._start_pump()
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                answer = await self._json_rpc.answer(message.data.encode(), self._call)
            elif message.type is WSMsgType.BINARY:
                answer = encoded_error(None, Refusal("invalid_request", "JSON-RPC comes in text frames."))
            else:
                return
            if answer is not None:
                await self._socket.say(answer.decode())
            self._start_pump()  # only now: first the answer, then events

    def subscribe(self, names: Sequence[str] | None, since: int | None = None) -> None:
        """Send events of these names from now on, or those after `since` first, in place of those sent so far."""
        self.unsubscribe()
        self._subscription = self._call.session.events.subscribe(names, since=since)

    def unsubscribe(self) -> None:
        """Send no more events."""
        if self._subscription is not None:
            self._subscription.close()
        if self._pump is not None:
            self._pump.cancel()
        self._subscription = self._pump = None

    def leave(self) -> None:
        """The client is gone."""
        self.unsubscribe()
        self._call.session.presence.leave(self)

    def _start_pump(self) -> None:
        if self._subscription is not None and self._pump is None:
            self._pump = asyncio.create_task(self._send_events(self._subscription))

    async def _send_events(self, subscription: Subscription) -> None:
        try:
            async for event in subscription:
                await self._socket.say(encoded_event(event).decode())
        except (ConnectionError, TimeoutError):
            pass  # the reading side sees the end of the connection too, and tidies up
        except Exception:
            log.exception("events for %s failed", self._call.caller.name)
