"""The Unix socket: JSON-RPC for shells, scripts and the `tonnetz` command; the kernel says who is calling.

Requests of one connection are answered in order, and connections do not wait for each other. A client that does not
read its answers is not read any further either, and after a while it is let go.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import socket
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.problems import Refusal

from ..method_table import Call, Method
from .event_stream import EventStream
from .framing import CHUNK, BrokenFrame, FrameReader
from .json_rpc import JsonRpc, Limits, encoded_error
from .peer import caller_of, group_id

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

log = logging.getLogger(__name__)

ORIGIN = "socket"
WRITE_BUFFER = 256 << 10  # bytes a client may leave unread, beyond the kernel's own, before it is waited for
PATIENCE_S = 30.0  # how long it is waited for
CONNECTIONS = 250  # well below the usual 1024 descriptors; an admin gets in beyond that, to see what is wrong
FAREWELL_S = 2.0  # at the end: time for requests under way


class SocketInUse(Exception):
    """Another daemon answers at the path, or something there is not a socket."""


class UnixSocketDoor:
    """Listens on a Unix socket. `group` and `mode` say who can open it; members of the group are operators.

    `listening` is one that the service manager opened for us: then its file, and who can open it, are its matter.
    """

    def __init__(
        self,
        session: Session,
        methods: Mapping[str, Method],
        path: str,
        *,
        mode: int = 0o660,
        group: str | None = None,
        limits: Limits = Limits(),
        patience_s: float = PATIENCE_S,
        listening: socket.socket | None = None,
    ) -> None:
        self.session = session
        self.path = path
        self.patience_s = patience_s
        self.json_rpc = JsonRpc(methods, limits)
        self.group = group_id(group, "doors.socket.group")
        self._mode = mode
        self._passed = listening
        self._connections: dict[SocketConnection, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._inode: int | None = None

    async def open(self) -> None:
        """Begin to listen. Raises SocketInUse, or OSError."""
        listening = self._passed
        if listening is None:
            listening = listening_socket(self.path, self._mode, self.group)
            self._inode = os.stat(self.path).st_ino
        else:
            self.path = listening.getsockname()
        self._server = await asyncio.start_unix_server(self._accept, sock=listening, limit=CHUNK)
        log.info("listening on %s", self.path)

    async def close(self) -> None:
        """Accept nobody more, let requests under way finish, hang up, and take away the socket file if it is ours."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._connections.values())
        for connection in list(self._connections):
            connection.finish()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=FAREWELL_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._inode is not None:
            try:
                if os.stat(self.path).st_ino == self._inode:
                    os.unlink(self.path)
            except FileNotFoundError:
                pass

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = SocketConnection(self, reader, writer)
        task = asyncio.current_task()
        assert task is not None
        self._connections[connection] = task
        try:
            if len(self._connections) > CONNECTIONS and connection.caller.role != "admin":
                refusal = Refusal("unavailable", f"{CONNECTIONS} connections are open; close some, or try again later.")
                await connection.send(encoded_error(None, refusal))
            else:
                await connection.serve()
        except (ConnectionError, TimeoutError) as error:
            log.debug("%s is gone: %s", connection.caller.name, error or "it stopped reading")
        except Exception:
            log.exception("the connection of %s failed", connection.caller.name)
        finally:
            await connection.hang_up()
            del self._connections[connection]


class SocketConnection:
    """One client: reads, answers and, once subscribed, sends events."""

    def __init__(self, door: UnixSocketDoor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.caller: Caller = caller_of(writer.get_extra_info("socket"), door.group, ORIGIN)
        self._door = door
        self._frames = FrameReader(reader, door.json_rpc.limits.message_bytes)
        self._reader = reader
        self._writer = writer
        self._events = EventStream(door.session, self.caller, self.send, writer.transport.abort)
        self._finishing = False
        writer.transport.set_write_buffer_limits(high=WRITE_BUFFER)

    async def serve(self) -> None:
        """Answer until the client has said all, or `finish` is called."""
        call = Call(self._door.session, self.caller, self._events)
        while True:
            try:
                message = await self._frames.next()
            except BrokenFrame as broken:
                await self.send(encoded_error(None, Refusal("invalid_request", str(broken))))
                await self._hear_out()
                return
            if message is None or self._finishing:
                return
            answer = await self._door.json_rpc.answer(message, call)
            if answer is not None:
                await self.send(answer)
            self._events.start()  # only now: first the answer, then events

    async def send(self, message: bytes) -> None:
        """Write a message. A client that leaves too much unread is waited for, then cut off: TimeoutError."""
        if self._writer.is_closing():
            raise ConnectionResetError
        transport = self._writer.transport
        self._writer.write(self._frames.wrap(message))
        if transport.get_write_buffer_size() > WRITE_BUFFER:
            try:
                await asyncio.wait_for(self._writer.drain(), self._door.patience_s)
            except TimeoutError:
                log.warning("%s has read nothing for %g s and is let go", self.caller.name, self._door.patience_s)
                transport.abort()
                raise

    def finish(self) -> None:
        """Read no more requests; the one under way is still answered."""
        self._finishing = True
        transport = self._writer.transport
        assert isinstance(transport, asyncio.Transport), "a Unix socket's transport reads and writes"
        transport.pause_reading()
        self._reader.feed_eof()

    async def hang_up(self) -> None:
        """Close, giving what is still to be sent a bounded time to go out."""
        self._events.leave()
        self._writer.close()
        patience_s = min(self._door.patience_s, FAREWELL_S) if self._finishing else self._door.patience_s
        try:
            await asyncio.wait_for(self._writer.wait_closed(), patience_s)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self._writer.transport.abort()

    async def _hear_out(self) -> None:
        """After an error that ends the connection: read on for a while, as a client still writing reads no answer."""
        self._writer.write_eof()
        loop = asyncio.get_running_loop()
        end = loop.time() + FAREWELL_S
        try:
            while await asyncio.wait_for(self._reader.read(CHUNK), end - loop.time()):
                pass
        except TimeoutError:
            pass


def listening_socket(path: str, mode: int, group: int | None) -> socket.socket:
    """A socket that listens at the path. It begins to only once mode and group are set: nobody gets in too early.

    The file of a daemon that died is replaced. Raises SocketInUse where a daemon lives or something else lies.
    """
    directory = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(directory):
        os.mkdir(directory, 0o755)
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # or two daemons starting at once take each other's file for a dead one's
        remove_dead_socket(path)
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            before = os.umask(0o177)  # no wider than the owner until mode and group are set
            try:
                bound.bind(path)
            finally:
                os.umask(before)
            if group is not None:
                os.chown(path, -1, group)
            os.chmod(path, mode)
            bound.listen()
        except BaseException:
            bound.close()
            raise
        return bound
    except OSError as error:
        if "too long" in str(error):
            message = "a socket's path may have 107 bytes; choose a shorter one"
            raise OSError(errno.ENAMETOOLONG, message, path) from None
        raise
    finally:
        os.close(handle)


def remove_dead_socket(path: str) -> None:
    """Take away a socket file nobody listens on. Raises SocketInUse if somebody does, or if it is no socket."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketInUse(f"{path} exists and is not a socket; remove it or set doors.socket.path to another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except OSError:
            pass  # it does not answer in time: too busy, but alive
    raise SocketInUse(f"another daemon answers at {path}; stop it first, or set doors.socket.path to another path")
