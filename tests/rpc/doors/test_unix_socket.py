"""rpc/doors/unix_socket.py: connections do not wait for each other, and the socket file is whose it should be."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import stat
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import jsonrpcclient
import pytest

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.rpc.doors import peer
from tonnetz.rpc.doors.json_rpc import Limits
from tonnetz.rpc.doors.unix_socket import (
    CONNECTIONS,
    WRITE_BUFFER,
    SocketInUse,
    UnixSocketDoor,
    listening_socket,
)
from tonnetz.rpc.method_table import MethodTable


class Wire:
    """One raw connection to a door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def ask(self, method: str, *params: Any, id: Any = 1) -> None:
        self.send(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode() + b"\n")

    async def hear(self) -> Any:
        """The next message; None at the end of the connection."""
        line = await asyncio.wait_for(self.reader.readline(), 20)
        return json.loads(line) if line else None

    async def hear_result(self) -> Any:
        return (await self.hear())["result"]

    async def hang_up(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


Connect = Callable[[UnixSocketDoor], Awaitable[Wire]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects to a door; hung up after the test."""
    wires: list[Wire] = []

    async def connect_to(door: UnixSocketDoor) -> Wire:
        wires.append(Wire(*await asyncio.open_unix_connection(door.path, limit=32 << 20)))
        return wires[-1]

    yield connect_to
    for wire in wires:
        wire.writer.transport.abort()
    await asyncio.gather(*(wire.writer.wait_closed() for wire in wires), return_exceptions=True)


# ---- Talking ---------------------------------------------------------------------------------------------------------


async def test_requests_of_a_connection_are_answered_in_order(open_door: Any, connect: Connect) -> None:
    wire = await connect(await open_door())
    wire.ask("test.wait", 60, id=1)
    wire.ask("test.echo", "x", id=2)
    assert [(await wire.hear())["id"] for _ in range(2)] == [1, 2]


async def test_connections_do_not_wait_for_each_other(open_door: Any, connect: Connect) -> None:
    door = await open_door()
    slow, quick = await connect(door), await connect(door)
    slow.ask("test.wait", 5000)
    await asyncio.sleep(0.05)
    quick.ask("test.echo", "x")
    assert await quick.hear_result() == "x"


async def test_content_length_clients_are_answered_in_kind(open_door: Any, connect: Connect) -> None:
    wire = await connect(await open_door())
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "test.echo", "params": ["x\n"]}, indent=1).encode()
    for _ in range(2):
        wire.send(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        head = await wire.reader.readuntil(b"\r\n\r\n")
        length = int(head.split(b":")[1])
        assert json.loads(await wire.reader.readexactly(length))["result"] == "x\n"


async def test_the_kernel_says_who_calls(open_door: Any, connect: Connect) -> None:
    wire = await connect(await open_door())
    wire.ask("test.whoami")
    assert await wire.hear_result() == {"name": f"uid:{os.getuid()}", "role": "admin", "origin": "socket"}


async def test_a_message_of_many_chunks(open_door: Any, connect: Connect) -> None:
    wire = await connect(await open_door())
    text = "x" * 3_000_000
    wire.ask("test.echo", text)
    assert await wire.hear_result() == text


# ---- Bad clients -----------------------------------------------------------------------------------------------------


async def test_a_bad_line_does_not_end_the_connection(open_door: Any, connect: Connect) -> None:
    wire = await connect(await open_door())
    wire.send(b'{"jsonrpc": "2.0", "id": 1, "meth\n')
    wire.ask("test.echo", "still here")
    assert (await wire.hear())["error"]["code"] == -32700
    assert await wire.hear_result() == "still here"


async def test_half_a_line_is_answered_and_does_nothing(open_door: Any, session: Any, connect: Connect) -> None:
    wire = await connect(await open_door())
    whole = b'{"jsonrpc":"2.0","id":1,"method":"test.note","params":["x"]}'
    wire.send(whole[:-5])
    wire.writer.write_eof()
    assert (await wire.hear())["error"]["code"] == -32700
    assert await wire.hear() is None and session.done == []


async def test_an_over_long_line_is_told_and_ends_the_connection(open_door: Any, connect: Connect) -> None:
    """The client writes all its 10 MB before it reads, as simple ones do, and still gets to see why."""
    door = await open_door()
    wire = await connect(door)
    wire.send(b'{"jsonrpc":"2.0","id":1,"method":"test.echo","params":["' + b"x" * 10_000_000 + b'"]}\n')
    await asyncio.wait_for(wire.writer.drain(), 20)
    error = (await wire.hear())["error"]
    assert error["code"] == -32600 and "8388608 bytes" in error["message"]
    assert await wire.hear() is None


async def test_a_client_that_goes_away_in_the_middle_is_no_trouble(
    open_door: Any, session: Any, connect: Connect
) -> None:
    door = await open_door()
    for data in (b"{", b"Content-Le", b'{"jsonrpc":"2.0","id":1,"method":"test.wait","params":[20]}\n'):
        wire = await connect(door)
        wire.send(data)
        await asyncio.sleep(0.01)
        wire.writer.transport.abort()
    wire = await connect(door)
    wire.ask("test.echo", 1)
    assert await wire.hear_result() == 1


async def test_what_was_begun_is_finished_though_the_client_left(
    open_door: Any, session: Any, connect: Connect
) -> None:
    wire = await connect(await open_door())
    wire.ask("test.wait", 50)
    wire.ask("test.note", "done anyway")
    wire.writer.write_eof()
    assert await wire.hear_result() == "done" and await wire.hear_result() == 1
    assert session.done == ["done anyway"]


async def test_a_client_that_never_reads_is_stopped_and_let_go(open_door: Any, connect: Connect) -> None:
    door = await open_door(patience_s=0.3)
    stuck, other = await connect(door), await connect(door)
    cast("asyncio.Transport", stuck.writer.transport).pause_reading()
    for number in range(40):  # 40 MB of answers, of which it reads nothing
        stuck.ask("test.echo", "x" * 1_000_000, id=number)
    for _ in range(20):
        other.ask("test.echo", "y")
        assert await other.hear_result() == "y"
        await asyncio.sleep(0.05)
    await until(lambda: len(door._connections) == 1)


async def test_events_to_a_client_that_never_reads_are_dropped_and_it_is_let_go(
    open_door: Any, session: Any, connect: Connect
) -> None:
    door = await open_door(patience_s=0.3)
    stuck = await connect(door)
    stuck.ask("test.listen")
    await until(lambda: session.events.listeners == 1)
    cast("asyncio.Transport", stuck.writer.transport).pause_reading()
    buffered = []
    for _ in range(60):
        for _ in range(100):
            session.events.publish("log", {"text": "x" * 1000})
        await asyncio.sleep(0.001)
        buffered += [connection._writer.transport.get_write_buffer_size() for connection in door._connections]
    assert max(buffered) < WRITE_BUFFER + 10_000, "what it leaves unread must not pile up in us"
    await until(lambda: session.events.listeners == 0)


def exists(path: str) -> bool:
    return Path(path).exists()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that within 10 s")


async def test_one_connection_too_many_is_told_so(
    open_door: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tonnetz.rpc.doors.unix_socket.caller_of", lambda *_: Caller("uid:7", "viewer", "socket"))
    door = await open_door()
    wires = [await connect(door) for _ in range(CONNECTIONS)]
    wires[-1].ask("test.echo", 1)
    assert await wires[-1].hear_result() == 1
    late = await connect(door)
    assert (await late.hear())["error"]["data"]["name"] == "unavailable"
    assert await late.hear() is None
    monkeypatch.undo()
    admin = await connect(door)
    admin.ask("test.echo", 1)
    assert await admin.hear_result() == 1


# ---- Events ----------------------------------------------------------------------------------------------------------


async def test_events_come_after_the_answer_and_in_order(open_door: Any, session: Any, connect: Connect) -> None:
    door = await open_door()
    listener, actor = await connect(door), await connect(door)
    listener.ask("test.listen")
    assert await listener.hear_result() == 0
    for number in range(3):
        actor.ask("test.note", number)
        await actor.hear()
    events = [await listener.hear() for _ in range(3)]
    assert [event["params"] for event in events] == [{"seq": n + 1, "value": n} for n in range(3)]
    assert {event["method"] for event in events} == {"log"} and "id" not in events[0]
    listener.ask("test.note", "own")
    both = [await listener.hear(), await listener.hear()]
    assert sorted(str(message.get("method")) for message in both) == ["None", "log"]


async def test_leaving_ends_the_subscription(open_door: Any, session: Any, connect: Connect) -> None:
    listener = await connect(await open_door())
    listener.ask("test.listen")
    await listener.hear()
    listener.ask("test.listen")  # once more: in place of the first
    await listener.hear()
    assert session.events.listeners == 1
    await listener.hang_up()
    await until(lambda: session.events.listeners == 0)


# ---- Closing ---------------------------------------------------------------------------------------------------------


async def test_closing_answers_what_is_under_way_and_hangs_up(open_door: Any, connect: Connect) -> None:
    door = await open_door()
    busy, idle = await connect(door), await connect(door)
    busy.ask("test.wait", 100, id=1)
    busy.ask("test.echo", 1, id=2)  # not begun: not answered
    await asyncio.sleep(0.03)
    await door.close()
    assert await busy.hear_result() == "done" and await busy.hear() is None
    assert await idle.hear() is None
    assert not exists(door.path)


async def test_closing_waits_for_nobody_for_long(
    open_door: Any, monkeypatch: pytest.MonkeyPatch, connect: Connect
) -> None:
    monkeypatch.setattr("tonnetz.rpc.doors.unix_socket.FAREWELL_S", 0.1)
    door = await open_door()
    busy = await connect(door)
    busy.ask("test.wait", 10_000)
    await asyncio.sleep(0.03)
    await asyncio.wait_for(door.close(), 5)
    assert await busy.hear() is None


async def test_closing_does_not_wait_for_a_client_that_never_reads(
    open_door: Any, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tonnetz.rpc.doors.unix_socket.FAREWELL_S", 0.1)
    door = await open_door()
    stuck = await connect(door)
    cast("asyncio.Transport", stuck.writer.transport).pause_reading()
    for _ in range(20):
        stuck.ask("test.echo", "x" * 1_000_000)
    await until(lambda: any(c._writer.transport.get_write_buffer_size() > WRITE_BUFFER for c in door._connections))
    await asyncio.wait_for(door.close(), 5)


# ---- The socket file -------------------------------------------------------------------------------------------------


async def test_mode_and_folder_of_the_socket(folder: Path, session: Any, methods: MethodTable) -> None:
    path = folder / "made" / "socket"
    door = UnixSocketDoor(cast("Session", session), methods, str(path), mode=0o640, group=str(os.getgid()))
    await door.open()
    found = path.stat()
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o640 and found.st_gid == os.getgid()
    await door.close()


async def test_a_socket_of_a_dead_daemon_is_replaced(folder: Path, open_door: Any, connect: Connect) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "socket"))
        dead.listen()
    wire = await connect(await open_door())
    wire.ask("test.echo", 1)
    assert await wire.hear_result() == 1


async def test_a_living_daemon_keeps_its_socket(open_door: Any, folder: Path, connect: Connect) -> None:
    first = await open_door()
    with pytest.raises(SocketInUse, match=r"another daemon answers at .*/socket; stop it first"):
        await open_door()
    wire = await connect(first)
    wire.ask("test.echo", 1)
    assert await wire.hear_result() == 1


def test_a_daemon_too_busy_to_answer_is_alive(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(folder / "socket"))
        busy.listen(0)
        waiting = []
        for _ in range(3):  # its queue is full now
            client = socket.socket(socket.AF_UNIX)
            client.setblocking(False)
            client.connect_ex(str(folder / "socket"))
            waiting.append(client)
        with pytest.raises(SocketInUse):
            listening_socket(str(folder / "socket"), 0o660, None)
        for client in waiting:
            client.close()


def test_what_is_no_socket_is_left_alone(folder: Path) -> None:
    (folder / "socket").write_text("precious")
    with pytest.raises(SocketInUse, match="is not a socket"):
        listening_socket(str(folder / "socket"), 0o660, None)
    assert (folder / "socket").read_text() == "precious"


def test_a_path_too_long_is_told_so(folder: Path) -> None:
    with pytest.raises(OSError, match="107 bytes"):
        listening_socket(str(folder / ("x" * 120)), 0o660, None)


async def test_a_successors_socket_is_not_taken_away(open_door: Any, folder: Path) -> None:
    door = await open_door()
    os.unlink(door.path)
    with socket.socket(socket.AF_UNIX) as successor:
        successor.bind(door.path)
        await door.close()
        assert exists(door.path)


async def test_a_socket_opened_by_systemd_is_used_and_left(
    folder: Path, session: Any, methods: MethodTable, connect: Connect
) -> None:
    path = str(folder / "passed")
    passed = socket.socket(socket.AF_UNIX)
    passed.bind(path)
    passed.listen()
    passed.setblocking(False)
    door = UnixSocketDoor(cast("Session", session), methods, "elsewhere", listening=passed)
    await door.open()
    assert door.path == path
    wire = await connect(door)
    wire.ask("test.echo", 1)
    assert await wire.hear_result() == 1
    await door.close()
    assert exists(path)


def test_an_unknown_group_is_told_with_what_to_do() -> None:
    with pytest.raises(Refusal, match=r"doors\.socket\.group: There is no group 'nosuch'. Create it") as refused:
        peer.group_id("nosuch", "doors.socket.group")
    assert refused.value.name == "invalid_config"
    assert peer.group_id(None, "") is None and peer.group_id("0", "") == 0 and peer.group_id("root", "") == 0


# ---- Roles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uid", "gid", "groups", "role"),
    [
        (0, 0, (), "admin"),
        (1000, 1000, (), "viewer"),
        (1000, 29, (), "operator"),
        (1000, 1000, (4, 29), "operator"),
        (1000, 1000, (4,), "viewer"),
    ],
)
def test_roles_follow_from_credentials(
    monkeypatch: pytest.MonkeyPatch, uid: int, gid: int, groups: tuple[int, ...], role: str
) -> None:
    class Connection:
        def getsockopt(self, level: int, option: int, size: int) -> bytes:
            if option == socket.SO_PEERCRED:
                return struct.pack("3i", 1, uid, gid)
            assert option == peer.SO_PEERGROUPS
            return struct.pack(f"{len(groups)}I", *groups)

    monkeypatch.setattr(os, "geteuid", lambda: 990)
    caller = peer.caller_of(cast("socket.socket", Connection()), 29, "socket")
    assert (caller.name, caller.role, caller.origin) == (f"uid:{uid}", role, "socket")
    assert peer.caller_of(cast("socket.socket", Connection()), None, "socket").role in ("admin", "viewer")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("groups", "role"), [([29], "operator"), ([4], "viewer")])
async def test_real_users_get_their_role(
    folder: Path, session: Any, methods: MethodTable, groups: list[int], role: str
) -> None:
    os.chmod(folder, 0o755)
    door = UnixSocketDoor(cast("Session", session), methods, str(folder / "socket"), mode=0o666, group="29")
    await door.open()
    script = f"""
import socket
s = socket.socket(socket.AF_UNIX); s.connect({door.path!r})
s.sendall(b'{{"jsonrpc":"2.0","id":1,"method":"test.whoami"}}\\n'); print(s.recv(1000).decode())
"""
    process = await asyncio.create_subprocess_exec(
        "/usr/bin/python3", "-c", script, user=65534, group=65534, extra_groups=groups, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert json.loads(output)["result"] == {"name": "uid:65534", "role": role, "origin": "socket"}
    await door.close()


# ---- Other people's clients ------------------------------------------------------------------------------------------


async def piped(command: str, text: str) -> str:
    process = await asyncio.create_subprocess_shell(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    output, _ = await asyncio.wait_for(process.communicate(text.encode()), 20)
    return output.decode()


@pytest.mark.skipif(not shutil.which("socat"), reason="needs socat")
async def test_socat_and_jq(open_door: Any) -> None:
    door = await open_door()
    text = '{"jsonrpc":"2.0","id":1,"method":"test.echo","params":{"value":[1,2]}}\n'
    answer = await piped(f"socat - UNIX-CONNECT:{door.path}", text)
    assert json.loads(answer)["result"] == [1, 2]
    if shutil.which("jq"):
        assert await piped(f"socat - UNIX-CONNECT:{door.path} | jq -c .result", text) == "[1,2]\n"


async def test_jsonrpcclient(open_door: Any, connect: Connect) -> None:
    wire = await connect(await open_door())
    wire.send(jsonrpcclient.request_json("test.gain", params={"node": "eq", "gain_db": -6}).encode() + b"\n")
    parsed = jsonrpcclient.parse(await wire.hear())
    assert parsed.result == {"node": "eq", "gain_db": -6.0, "ramp_ms": 20.0}  # type: ignore[union-attr]
    wire.send(jsonrpcclient.request_json("test.refuse").encode() + b"\n")
    refused = jsonrpcclient.parse(await wire.hear())
    assert isinstance(refused, jsonrpcclient.Error) and refused.code == 1002 and refused.data["name"] == "conflict"


async def test_limits_are_the_doors(open_door: Any, connect: Connect) -> None:
    wire = await connect(await open_door(Limits(message_bytes=100)))
    wire.send(b"[" + b" " * 200 + b"]\n")
    assert "may have 100 bytes" in (await wire.hear())["error"]["message"]
