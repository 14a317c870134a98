"""Sound of any port: as a stream that players open, and as PCM over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSMsgType, web

from tonnetz.daemon.problems import Problem, refuse

from .answers import Turned
from .sockets import PATIENCE_S, Socket, Sockets

if TYPE_CHECKING:
    from tonnetz.daemon.probing.listening import Listener
    from tonnetz.daemon.session import Session

MEDIA_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg"}
SAMPLES = {"f32": "<f4", "s16": "<i2"}
MOST = 16  # listeners at once: each encodes for itself
MESSAGE_BYTES = 1024  # who listens has little to say


class Listening:
    """The two routes, and how many listen."""

    def __init__(self, session: Session, sockets: Sockets) -> None:
        self._session = session
        self._sockets = sockets
        self._count = 0
        self._streams: set[asyncio.Task[Any]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(r"/api/listen/{node}/{port}.{format:wav|mp3|ogg}", self.stream),
            web.get("/api/ws/listen/{node}/{port}", self.socket),
        ]

    async def close(self) -> None:
        """Ends the streams, which never end by themselves."""
        for stream in self._streams:
            stream.cancel()
        await asyncio.gather(*self._streams, return_exceptions=True)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """For players: `mpv http://127.0.0.1:8420/api/listen/mix/out.mp3`."""
        format: Any = request.match_info["format"]
        with self._listener(request) as listener:
            response = web.StreamResponse(headers={"Content-Type": MEDIA_TYPES[format]})
            if request.method == "HEAD":
                return response
            response.enable_chunked_encoding()
            await response.prepare(request)
            task = asyncio.current_task()
            assert task is not None
            self._streams.add(task)
            try:
                async for piece in listener.encoded(format):
                    if request.transport is None or request.transport.is_closing():
                        break
                    async with asyncio.timeout(PATIENCE_S):
                        await response.write(piece)
            except TimeoutError:
                if request.transport is not None:
                    request.transport.abort()  # it has stopped reading
            except ConnectionError:
                pass  # it has hung up
            finally:
                self._streams.discard(task)
        return response

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """First a text frame that says what follows, then the samples, interleaved, in binary frames."""
        kind = request.query.get("format", "f32")
        if kind not in SAMPLES:
            problem = Problem("unknown_choice", f"'{kind[:40]}' is no format of samples; f32 and s16 are.", "format")
            raise refuse("invalid_params", [problem])
        with self._listener(request) as listener:
            async with self._sockets.open(request, MESSAGE_BYTES) as socket:
                sending = asyncio.create_task(self._send(socket, listener, kind))
                try:
                    async for message in socket:
                        if message.type is not WSMsgType.TEXT:
                            break
                finally:
                    sending.cancel()
        return socket.response

    async def _send(self, socket: Socket, listener: Listener, kind: str) -> None:
        about = {"port": listener.place.name, "sample_rate": self._session.engine.sample_rate}
        about |= {"channels": listener.place.channels, "format": kind}
        with contextlib.suppress(ConnectionError, TimeoutError):
            await socket.say(msgspec.json.encode({"type": "sound", **about}).decode())
            async for piece in listener.pieces():
                if piece is None:
                    continue
                if piece.missed:
                    await socket.say(msgspec.json.encode({"type": "missed", "frames": piece.missed}).decode())
                await socket.say(interleaved(piece.samples, kind))
            await socket.say(msgspec.json.encode({"type": "gone", "port": listener.place.name}).decode())
            await socket.response.close()

    @contextlib.contextmanager
    def _listener(self, request: web.Request) -> Iterator[Listener]:
        if self._count >= MOST:
            message = f"{MOST} listen already; let somebody hang up, or record with a file_writer."
            raise Turned(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", message, Retry_After="10")
        listener = self._session.probing.listen(f"{request.match_info['node']}.{request.match_info['port']}")
        self._count += 1
        try:
            yield listener
        finally:
            self._count -= 1
            listener.close()


def interleaved(samples: Any, kind: str) -> bytes:
    """(channels, frames) as little-endian frames."""
    if kind == "s16":
        samples = (samples.clip(-1.0, 1.0) * 32767).round()
    encoded: bytes = samples.T.astype(SAMPLES[kind], order="C").tobytes()
    return encoded
