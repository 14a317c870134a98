"""WebSockets as all of them are: bounded in number, asked now and then whether they live, cut off when they stop
reading, and closed when the daemon ends or the caller's token is revoked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from http import HTTPStatus

from aiohttp import WSCloseCode, WSMessage, web

from tonnetz.daemon.caller import Caller

from .answers import Turned
from .callers import Callers, caller_of

MOST = 500  # at once: half of the descriptors that a process usually has
HEARTBEAT_S = 20.0  # between two pings; who does not answer is gone
PATIENCE_S = 30.0  # that a client may leave what is sent to it unread
REVOKED_S = 1.0  # after which a revoked token's connections are closed
FAREWELL_S = 2.0  # for clients to take leave when the daemon ends


class Socket:
    """One WebSocket and whose it is. Iterating gives what the client sends, until it leaves."""

    def __init__(self, request: web.Request, message_bytes: int) -> None:
        self.caller: Caller = caller_of(request)
        self.response = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=message_bytes, compress=False)
        self._transport = request.transport
        if not self.response.can_prepare(request):
            message = (
                f"{request.path} is a WebSocket; open it with a client for those: ws://{request.host}{request.path}"
            )
            raise Turned(HTTPStatus.UPGRADE_REQUIRED, "invalid_request", message, Upgrade="websocket")

    def __aiter__(self) -> AsyncIterator[WSMessage]:
        return self.response

    async def say(self, message: str | bytes) -> None:
        """Send a frame, text or binary. Waits while the client has not read what was sent before: TimeoutError after
        PATIENCE_S, and the connection is cut; ConnectionError where it is gone."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                if isinstance(message, str):
                    await self.response.send_str(message)
                else:
                    await self.response.send_bytes(message)
        except TimeoutError:
            self.abort()
            raise

    def abort(self) -> None:
        """Cut the connection without a word: nobody reads one."""
        if self._transport is not None:
            self._transport.abort()

    async def leave(self, code: int, why: str) -> None:
        """Say good-bye, and cut off who does not answer in time."""
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self.response.close(code=code, message=why.encode())
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self.abort()


class Sockets:
    """The open WebSockets."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers
        self._open: set[Socket] = set()
        self._watch: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._open)

    @contextlib.asynccontextmanager
    async def open(self, request: web.Request, message_bytes: int) -> AsyncIterator[Socket]:
        """A WebSocket, closed when the block is left. Raises Turned where there are too many, or it is none."""
        if len(self._open) >= MOST:
            message = f"{MOST} WebSockets are open; close some, or try again later."
            raise Turned(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", message, Retry_After="5")
        socket = Socket(request, message_bytes)
        await socket.response.prepare(request)
        self._open.add(socket)
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_tokens())
        try:
            yield socket
        except (ConnectionError, TimeoutError):
            pass  # the client is gone, or stopped reading
        finally:
            self._open.discard(socket)
            await socket.leave(WSCloseCode.OK, "")

    async def close(self) -> None:
        """All of them, at the end of the daemon."""
        if self._watch is not None:
            self._watch.cancel()
        await _leave(self._open, WSCloseCode.GOING_AWAY, "the daemon ends")

    async def _watch_tokens(self) -> None:
        while True:
            await asyncio.sleep(REVOKED_S)
            gone = [socket for socket in self._open if not self._callers.still_there(socket.caller)]
            await _leave(gone, WSCloseCode.POLICY_VIOLATION, "the token was revoked")


async def _leave(sockets: Iterable[Socket], code: int, why: str) -> None:
    await asyncio.gather(*(socket.leave(code, why) for socket in list(sockets)))
