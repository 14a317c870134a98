"""A connection to a message bus: dbus-next, with both ends of its socket done anew.

dbus-next 0.2.3 is pinned, as nobody maintains it. It speaks the protocol well, and what it does with the socket is not
for a daemon: it takes a full socket for a broken one and hangs up, waits for a bus that does not answer, believes any
message, and keeps what it has to send without bound. So the library frames and marshals here, and this file reads,
writes and connects. Nothing else in Tonnetz imports dbus-next.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from dbus_next import DBusError, Message, MessageFlag, MessageType, NameFlag, RequestNameReply, Variant
from dbus_next._private.unmarshaller import Unmarshaller
from dbus_next.aio import MessageBus
from dbus_next.auth import AuthError
from dbus_next.errors import InvalidAddressError

__all__ = ["Connection", "Message", "MessageFlag", "MessageType", "NotConnected", "Variant", "address_of"]

BUS = "org.freedesktop.DBus"  # the bus itself
CONNECT_S = 5.0  # for a bus to accept, authenticate and greet us
CALL_S = 10.0  # for the bus itself to answer
CHUNK = 256 << 10  # bytes read at once
BUFFERS = 64  # messages written at once, well below the kernel's limit of 1024
WRITE_BUFFER = 256 << 10  # bytes that wait for the bus before whoever can waits too
MESSAGE_BYTES = 8 << 20  # as at the socket; the bus allows 128 MiB
HEADER_BYTES = 64 << 10  # path and names; nobody needs more
VALUES = 20_000  # in one message: some 0.3 s of unmarshalling, which is done in Python, on the event loop
FIXED = 16  # bytes that a header begins with, the last four of which tell how long the rest is


class NotConnected(Exception):
    """The bus is not there, does not want us, or is gone; in words for the log."""


class Connection:
    """Connected to a bus under a name, until it is lost. `lost` is done then, or when `close` was called."""

    def __init__(self, bus: _Bus) -> None:
        self._bus = bus
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        bus.on_lost = self._on_lost

    @staticmethod
    async def open(address: str) -> Connection:
        """Connected and greeted. Raises NotConnected."""
        try:
            bus = _Bus(address)
        except (InvalidAddressError, OSError) as error:
            raise NotConnected(f"{address} is no address that is understood here: {error}") from error
        try:
            await asyncio.wait_for(bus.reach(), CONNECT_S)
        except TimeoutError:  # which is an OSError
            bus.hang_up()
            raise NotConnected(f"no answer within {CONNECT_S:g} s") from None
        except (OSError, EOFError, AuthError, DBusError, ValueError) as error:
            bus.hang_up()
            raise NotConnected(str(error) or type(error).__name__) from error
        except BaseException:
            bus.hang_up()
            raise
        return Connection(bus)

    async def own(self, name: str) -> None:
        """Take a name, so that calls to it come here. Raises NotConnected when somebody else has it, or may not."""
        try:
            reply = await asyncio.wait_for(self._bus.request_name(name, NameFlag.DO_NOT_QUEUE), CALL_S)
        except (DBusError, OSError, EOFError, TimeoutError) as error:
            raise NotConnected(str(error) or type(error).__name__) from error
        if reply not in (RequestNameReply.PRIMARY_OWNER, RequestNameReply.ALREADY_OWNER):
            raise NotConnected(f"another process has the name {name}")

    async def serve(self, handler: Callable[[Message], None], vanished: Callable[[str], None]) -> None:
        """Hand `handler` every method call, as a Message; one that was cut says in `refused` what was wrong with it.
        Tell `vanished` the unique name of everybody who leaves the bus. Raises NotConnected."""

        def handle(message: Message) -> bool:
            if message.message_type is MessageType.METHOD_CALL:
                handler(message)
                return True
            if message.member == "NameOwnerChanged" and message.sender == BUS and message.body[2:] == [""]:
                vanished(message.body[0])
            return False

        self._bus.add_message_handler(handle)
        rule = f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg2=''"
        await self.call_bus("AddMatch", "s", rule)

    def send(self, message: Message) -> None:
        """Queue a message; on a connection that is lost it goes nowhere."""
        if not self.lost.done():
            self._bus.send(message)

    async def send_large(self, message: Message) -> None:
        """The same, for one that takes long to marshal: other things go on meanwhile."""
        if not message.serial:
            message.serial = self._bus.next_serial()
        marshalled = await asyncio.to_thread(message._marshall)
        if not self.lost.done():
            self._bus.writer.put(marshalled)

    async def drained(self) -> None:
        """Wait until little is left to be written; at once when the connection is lost."""
        await self._bus.writer.drained()

    async def call_bus(self, member: str, signature: str, *body: Any) -> list[Any]:
        """Call the bus itself. Raises NotConnected, with the bus's words if it refuses."""
        message = Message(
            destination=BUS,
            path="/org/freedesktop/DBus",
            interface=BUS,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            reply = await asyncio.wait_for(self._bus.call(message), CALL_S)
        except (OSError, EOFError, DBusError, TimeoutError) as error:
            raise NotConnected(str(error) or type(error).__name__) from error
        if reply is None or reply.message_type is MessageType.ERROR:
            raise NotConnected(str(reply.body[0]) if reply is not None and reply.body else "the bus refused")
        return list(reply.body)

    async def close(self) -> None:
        """Hang up, once what is queued is written or CALL_S have passed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._bus.writer.empty(), CALL_S)
        self._bus.hang_up()

    def _on_lost(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)


def address_of(bus: str) -> str:
    """The address of `system`, `session`, or what is given."""
    if bus == "system":
        return os.environ.get("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/run/dbus/system_bus_socket")
    if bus == "session":
        runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
        return os.environ.get("DBUS_SESSION_BUS_ADDRESS", f"unix:path={runtime}/bus")
    return bus


# ---- dbus-next -------------------------------------------------------------------------------------------------------


class _Bus(MessageBus):  # type: ignore[misc]  # dbus-next comes without types
    """dbus-next's bus on our own socket."""

    def __init__(self, address: str) -> None:
        super().__init__(bus_address=address)
        self.writer = self._writer = _Writer(self)
        self.on_lost: Any = None
        self._received = bytearray()
        self._to_skip = 0

    def _setup_socket(self) -> None:
        """Called by the base. A socket that is not connected yet, since connecting may take its time."""
        for transport, options in self._bus_address:
            if transport == "unix" and ("path" in options or "abstract" in options):
                self._path = options.get("path") or f"\0{options['abstract']}"
                self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                self._stream = self._sock.makefile("rwb")
                self._fd = self._sock.fileno()
                return
        raise InvalidAddressError("an address is unix:path=…, or unix:abstract=…")

    async def reach(self) -> None:
        await self._loop.sock_connect(self._sock, self._path)
        await self.connect()

    def hang_up(self) -> None:
        """Called `disconnect` by dbus-next, which does it when it is not greeted, and says so in the log."""
        self._finalize(EOFError("the connection was closed"))

    disconnect = hang_up

    def _finalize(self, err: BaseException | None = None) -> None:
        if self._disconnected:
            return
        super()._finalize(err)
        if self._disconnect_future.done() and not self._disconnect_future.cancelled():
            self._disconnect_future.exception()  # looked at, so that asyncio does not complain
        self._stream.close()
        self._sock.close()
        self.writer.give_up()
        if self.on_lost is not None:
            self.on_lost(str(err) or type(err).__name__)

    def _message_reader(self) -> None:
        """Called by the loop when there is something to read. Reads once, so that a flood leaves the loop its turns."""
        try:
            data = self._sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._finalize(error)
            return
        if not data:
            self._finalize(EOFError("it hung up"))
            return
        self._received += data
        for message in self._complete_messages():
            if not self._disconnected:
                self._on_message(message)

    def _complete_messages(self) -> Iterator[Message]:
        """What has come whole. Of one that is too long only the header is kept, to tell its sender."""
        received = self._received
        while True:
            if self._to_skip:
                skipped = min(self._to_skip, len(received))
                del received[:skipped]
                self._to_skip -= skipped
            if len(received) < FIXED:
                return
            body, _, fields = struct.unpack_from("<III" if received[0] == ord("l") else ">III", received, 4)
            header = FIXED + fields + -fields % 8
            if header > HEADER_BYTES:
                self._to_skip = header + body
                continue
            if header + body > MESSAGE_BYTES:
                if len(received) < header:
                    return
                self._to_skip = header + body
                message = unmarshalled(bytes(received[:header]), f"A message may have {MESSAGE_BYTES} bytes.")
            else:
                if len(received) < header + body:
                    return
                message = unmarshalled(bytes(received[: header + body]))
                del received[: header + body]
            if message is not None:
                yield message


class _Writer:
    """Takes the place of dbus-next's: a full socket is waited for, and who wants to wait for that can."""

    def __init__(self, bus: _Bus) -> None:
        self._bus = bus
        self._queue: deque[memoryview] = deque()
        self._size = 0
        self._little_left = asyncio.Event()
        self._little_left.set()
        self._nothing_left = asyncio.Event()
        self._nothing_left.set()
        self._given_up = False

    def schedule_write(self, message: Message = None, future: asyncio.Future[None] | None = None) -> None:
        """dbus-next's own call, with a message to be sent or, once greeted, without."""
        if message is not None:
            self.put(message._marshall())
        elif self._queue:
            self._bus._loop.add_writer(self._bus._fd, self._write)
        if future is not None and not future.done():
            future.set_result(None)

    def put(self, marshalled: bytearray) -> None:
        if self._given_up:
            return
        idle = not self._queue
        self._queue.append(memoryview(marshalled))
        self._size += len(marshalled)
        self._nothing_left.clear()
        if self._size > WRITE_BUFFER:
            self._little_left.clear()
        if idle and self._bus.unique_name:
            self._bus._loop.add_writer(self._bus._fd, self._write)

    async def drained(self) -> None:
        await self._little_left.wait()

    async def empty(self) -> None:
        await self._nothing_left.wait()

    def give_up(self) -> None:
        self._given_up = True
        self._queue.clear()
        self._little_left.set()
        self._nothing_left.set()

    def _write(self) -> None:
        """Called by the loop when the socket takes something."""
        try:
            sent = self._bus._sock.sendmsg(islice(self._queue, BUFFERS))
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._bus._finalize(error)
            return
        self._size -= sent
        while self._queue and sent >= len(self._queue[0]):
            sent -= len(self._queue.popleft())
        if sent:
            self._queue[0] = self._queue[0][sent:]
        if self._size <= WRITE_BUFFER:
            self._little_left.set()
        if not self._queue:
            self._nothing_left.set()
            self._bus._loop.remove_writer(self._bus._fd)


class _TooMany(Exception):
    """More values than one message may have."""


class _BoundedUnmarshaller(Unmarshaller):  # type: ignore[misc]
    """Stops at a message with more values than are good for the loop."""

    values = 0

    def read_argument(self, type_: Any) -> Any:
        self.values += 1
        if self.values > VALUES:
            raise _TooMany
        return super().read_argument(type_)


def unmarshalled(data: bytes, refused: str = "") -> Message | None:
    """The message, with in `refused` why it can't be taken; its body is left out then. None for what is none."""
    if refused:
        data = data[:4] + bytes(4) + data[8:]  # a body of no length
    try:
        message = _BoundedUnmarshaller(io.BytesIO(data)).unmarshall()
    except _TooMany:
        header = data[: FIXED + struct.unpack_from("<I" if data[0] == ord("l") else ">I", data, 12)[0]]
        return unmarshalled(header + bytes(-len(header) % 8), f"A message may have {VALUES} values; send JSON instead.")
    except Exception:  # noqa: BLE001 - whatever it trips over, the frame is known, so the next message can be read
        return None
    if message is not None:
        message.refused = refused
    return message
