"""Where one message ends and the next begins.

One JSON text per line is the documented framing, as shell tools want it; a client that begins with a `Content-Length`
header, as editors' language clients do, is recognised and answered in kind.
"""

from __future__ import annotations

import asyncio

CHUNK = 65536  # bytes per read; asyncio itself parks at most twice as much
HEADER_LIMIT = 8192  # bytes of headers before a message


class BrokenFrame(Exception):
    """What arrives cannot be cut into messages any more; the connection has to end. The text is fit for the client."""


class FrameReader:
    """Cuts a byte stream into messages. The first bytes decide the framing, once per connection."""

    def __init__(self, reader: asyncio.StreamReader, limit: int) -> None:
        self.limit = limit
        self.headers = False  # whether Content-Length framing was recognised
        self._reader = reader
        self._buffer = bytearray()
        self._sniffed = False
        self._ended = False

    async def next(self) -> bytes | None:
        """The next message, or None when the client has said all. A last line may lack its newline."""
        if not self._sniffed:
            await self._sniff()
        return await self._headed() if self.headers else await self._line()

    def wrap(self, message: bytes) -> bytes:
        """A message as it goes to the client, in the framing the client uses."""
        if self.headers:
            return b"Content-Length: %d\r\n\r\n%b" % (len(message), message)
        return message + b"\n"

    async def _more(self) -> bool:
        chunk = b"" if self._ended else await self._reader.read(CHUNK)
        self._ended = not chunk
        self._buffer += chunk
        return bool(chunk)

    async def _sniff(self) -> None:
        while not self._buffer.strip() and await self._more():
            pass
        del self._buffer[: len(self._buffer) - len(self._buffer.lstrip())]
        self.headers = self._buffer.startswith((b"C", b"c"))  # no JSON text begins like that
        self._sniffed = True

    async def _line(self) -> bytes | None:
        searched = 0
        while True:
            end = self._buffer.find(b"\n", searched)
            if end < 0 and len(self._buffer) <= self.limit:
                searched = len(self._buffer)
                if await self._more():
                    continue
                end = len(self._buffer)
            if end < 0 or end > self.limit:
                raise BrokenFrame(f"A message may have {self.limit} bytes; this line is longer.")
            line = bytes(self._buffer[:end]).strip()
            del self._buffer[: end + 1]
            if line:
                return line
            if self._ended and not self._buffer:
                return None
            searched = 0

    async def _headed(self) -> bytes | None:
        end = self._buffer.find(b"\r\n\r\n")
        while end < 0:
            if len(self._buffer) > HEADER_LIMIT:
                raise BrokenFrame(f"The headers before a message may have {HEADER_LIMIT} bytes.")
            if not await self._more():
                if self._buffer.strip():
                    raise BrokenFrame("The connection ended within the headers of a message.")
                return None
            end = self._buffer.find(b"\r\n\r\n")
        length = self._length(bytes(self._buffer[:end]))
        if length > self.limit:
            raise BrokenFrame(f"A message may have {self.limit} bytes; Content-Length says {length}.")
        del self._buffer[: end + 4]
        while len(self._buffer) < length:
            if not await self._more():
                raise BrokenFrame(f"The connection ended after {len(self._buffer)} of {length} bytes of a message.")
        message = bytes(self._buffer[:length])
        del self._buffer[:length]
        return message

    @staticmethod
    def _length(headers: bytes) -> int:
        for line in headers.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length" and value.strip().isdigit() and len(value) < 20:
                return int(value)
        raise BrokenFrame("The headers before a message need a Content-Length with a number.")
