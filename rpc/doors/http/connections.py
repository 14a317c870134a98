"""The TCP connections below HTTP: so many at once, in all and from one address; and each has so long to say what it
wants, and to read what it is sent. aiohttp bounds none of these.

Whoever is turned away is told why, in the one shape that errors have, and only then hung up on.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import msgspec
from aiohttp import StreamReader, web

from .answers import JSON, Turned, told

LINGER_S = 2.0  # for a client to read why it is hung up on
CUT_OFF = struct.pack("ii", 1, 0)  # SO_LINGER: what is not read yet is thrown away, and not kept by the system
GRACE_S = 0.1  # some turns of the loop
LEAVING = 50  # so many at once are given that time; beyond, they are cut off without a word
RETRY_S = 5  # when to come again


class Bounds(NamedTuple):
    """How many connections there may be, and how patient we are with each.

    The system usually gives a process 1024 descriptors: a quarter of them is for all else. From one address come
    perhaps everybody who is behind a proxy: all 500 WebSockets that there may be, and 100 requests beside.
    """

    most: int = 750
    from_one: int = 600
    head_s: float = 20.0  # from the connection, or the first byte of a further request, to the end of its headers
    unread_s: float = 30.0  # that nothing of what was sent is read


class Connections:
    """The open ones."""

    def __init__(self, bounds: Bounds, headers: Mapping[str, str]) -> None:
        """`headers`: what every answer bears."""
        self.bounds = bounds
        self._headers = headers
        self._open: dict[asyncio.BaseTransport, TcpConnection] = {}
        self._counts: Counter[str] = Counter()
        self._leaving: set[TcpConnection] = set()

    def protocol(self, inner: Callable[[], asyncio.Protocol]) -> Callable[[], TcpConnection]:
        """What `create_server` makes for each connection, around the protocol that speaks HTTP."""
        return lambda: TcpConnection(self, inner())

    @contextlib.contextmanager
    def serving(self, request: web.Request) -> Iterator[None]:
        """While a request is served, its connection need not say anything."""
        connection = self._open.get(request.transport) if request.transport is not None else None
        if connection is None:  # it is gone already
            yield
            return
        with connection.serving(request.content):
            yield

    def close(self) -> None:
        """Cut off whoever is left."""
        for connection in (*self._open.values(), *self._leaving):
            connection.transport.abort()

    def refusal(self, address: str) -> Turned | None:
        """Why another one may not come in, if it may not."""
        if self._counts[address] >= self.bounds.from_one:
            message = f"{self.bounds.from_one} connections come from {address}; close some, or try again later."
            return Turned(HTTPStatus.TOO_MANY_REQUESTS, "unavailable", message, Retry_After=str(RETRY_S))
        if len(self._open) >= self.bounds.most:
            message = f"{self.bounds.most} connections are open; try again later."
            return Turned(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", message, Retry_After=str(RETRY_S))
        return None

    def enter(self, connection: TcpConnection) -> None:
        self._open[connection.transport] = connection
        self._counts[connection.address] += 1

    def leave(self, connection: TcpConnection) -> bool:
        """Whether it had come in at all."""
        self._leaving.discard(connection)
        if self._open.pop(connection.transport, None) is None:
            return False
        self._counts[connection.address] -= 1
        if not self._counts[connection.address]:
            del self._counts[connection.address]
        return True

    def let_linger(self, connection: TcpConnection) -> bool:
        """Whether there is room for one more that is to read why it is hung up on."""
        if len(self._leaving) >= LEAVING:
            return False
        self._leaving.add(connection)
        return True

    def written(self, turned: Turned) -> bytes:
        """An answer to what never became a request."""
        body = msgspec.json.encode({"error": told(turned)})
        head = {
            **self._headers,
            **turned.headers,
            "Content-Type": JSON,
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return f"HTTP/1.1 {turned.status.value} {turned.status.phrase}\r\n{lines}\r\n".encode() + body


class TcpConnection(asyncio.Protocol):
    """One connection. All that happens to it goes on to the protocol inside, and is timed on the way."""

    transport: asyncio.Transport

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self.address = ""
        self._connections = connections
        self._inner = inner
        self._serving = 0
        self._body: StreamReader | None = None  # of the newest request; an answer may come before its end
        self._silent = True  # nothing has come since the last request, or at all
        self._heard: asyncio.TimerHandle | None = None  # runs while headers are awaited
        self._read: asyncio.TimerHandle | None = None  # runs while something is unread
        self._leaving = False

    # ---- What happens to it ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        # So that to be paused means: the system took no more, and the client has not read what it has.
        self.transport.set_write_buffer_limits(high=0)
        self.address = str((transport.get_extra_info("peername") or ("",))[0])
        refusal = self._connections.refusal(self.address)
        if refusal is not None:
            self._hang_up(refusal)
            return
        self._connections.enter(self)
        self._await_head()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._leaving:
            return
        self._silent = False
        if self._heard is None and not self._serving and (self._body is None or self._body.is_eof()):
            self._await_head()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._leaving else self._inner.eof_received()

    def pause_writing(self) -> None:
        self._await_reading(self._unread())
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._stop_awaiting_reading()
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_awaiting_head()
        self._stop_awaiting_reading()
        if self._connections.leave(self):
            self._inner.connection_lost(exc)

    @contextlib.contextmanager
    def serving(self, body: StreamReader) -> Iterator[None]:
        """A request has come in whole, but for its body, and is answered."""
        self._body = body
        self._stop_awaiting_head()
        self._serving += 1
        self._silent = True
        try:
            yield
        finally:
            self._serving -= 1

    # ---- Patience ----------------------------------------------------------------------------------------------------

    def _await_head(self) -> None:
        loop = asyncio.get_running_loop()
        self._heard = loop.call_later(self._connections.bounds.head_s, self._lose_patience)

    def _stop_awaiting_head(self) -> None:
        if self._heard is not None:
            self._heard.cancel()
            self._heard = None

    def _lose_patience(self) -> None:
        """Where this loop was held up, what came in time may wait to be looked at: that goes first."""
        self._heard = asyncio.get_running_loop().call_later(GRACE_S, self._give_up)

    def _give_up(self) -> None:
        if self._read is not None:  # an earlier answer is not read yet, and this request waits behind it
            self._await_head()
        elif self._silent:
            self.transport.abort()  # somebody who wants nothing needs no answer
        else:
            message = f"The headers did not arrive within {self._connections.bounds.head_s:g} s."
            self._hang_up(Turned(HTTPStatus.REQUEST_TIMEOUT, "invalid_request", message))

    def _await_reading(self, left: int) -> None:
        """`left`: how many bytes. Slow readers have time, as long as they read at all."""

        def look() -> None:
            now = self._unread()
            if now < left:
                self._await_reading(now)
            else:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CUT_OFF)
                self.transport.abort()

        self._read = asyncio.get_running_loop().call_later(self._connections.bounds.unread_s, look)

    def _unread(self) -> int:
        """Bytes that wait here, and in the system: it takes some megabytes at once, and then nothing for long."""
        (in_system,) = struct.unpack("i", fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, bytes(4)))
        return self.transport.get_write_buffer_size() + int(in_system)

    @property
    def _socket(self) -> Any:
        return self.transport.get_extra_info("socket")

    def _stop_awaiting_reading(self) -> None:
        if self._read is not None:
            self._read.cancel()
            self._read = None

    def _hang_up(self, why: Turned) -> None:
        """Say why and close. What still comes is read and thrown away: a connection that is closed before loses the
        answer on its way."""
        self._leaving = True
        self._stop_awaiting_head()
        if not self._connections.let_linger(self):
            self.transport.abort()
            return
        self.transport.write(self._connections.written(why))
        self.transport.write_eof()
        self._heard = asyncio.get_running_loop().call_later(LINGER_S, self.transport.abort)
