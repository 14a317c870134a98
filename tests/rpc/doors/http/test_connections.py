"""How many connections there may be, and how long each may say nothing or read nothing. A door of the test's own, less
patient than a real one; and a real one, for the numbers that hold there."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, cast
from urllib.parse import urlsplit

import aiohttp
import msgspec
import pytest

from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import HttpSettings
from tonnetz.daemon.tokens import TokenFile
from tonnetz.rpc.doors.http import params
from tonnetz.rpc.doors.http.connections import Bounds
from tonnetz.rpc.doors.http.door import HttpDoor
from tonnetz.rpc.doors.http.port import Port
from tonnetz.rpc.method_table import Call, MethodTable
from tonnetz.rpc.route import Route

from ...conftest import CONFIGURATION, FakeSession
from .conftest import Web, running

PATIENCE_S = 30.0
HEAD = b"GET /api/small HTTP/1.1\r\nHost: localhost\r\n"
LARGE = 24 << 20  # bytes: more than any system keeps for a client that does not read


class Tagged(msgspec.Struct, frozen=True):
    """Something at a revision."""

    revision: int


def small_table() -> MethodTable:
    table = MethodTable()

    @table.method("test.small", role="viewer", http=Route("GET /api/small"))
    async def small(call: Call) -> str:
        """Give little."""
        return "little"

    @table.method("test.large", role="viewer", http=Route("GET /api/large"))
    async def large(call: Call) -> str:
        """Give much."""
        return "x" * LARGE

    @table.method("test.take", role="viewer", http=Route("POST /api/take"))
    async def take(call: Call, value: str) -> str:
        """Take something."""
        return value

    @table.method("test.tagged", role="viewer", http=Route("GET /api/tagged", tagged=True))
    async def tagged(call: Call) -> Tagged:
        """Give what has a revision, and remember that it was asked for."""
        session = cast("FakeSession", call.session)
        session.done.append("built")
        return Tagged(session.revision)

    return table


OpenDoor = Callable[..., Awaitable[HttpDoor]]


@pytest.fixture
async def open_door(folder: Path, session: FakeSession) -> AsyncIterator[OpenDoor]:
    """Opens a door on the small table; it takes any of the bounds."""
    doors: list[HttpDoor] = []

    async def open_it(**bounds: Any) -> HttpDoor:
        settings = HttpSettings(listen="127.0.0.1:0")
        made = HttpDoor(
            cast("Session", session),
            small_table(),
            Port(settings, TokenFile(folder)),
            bounds=Bounds(**bounds),
        )
        await made.open()
        doors.append(made)
        return made

    yield open_it
    for door in doors:
        await door.close()


class Caller:
    """A client that says and reads what a test wants, byte by byte; it leaves when the test is over."""

    made: ClassVar[list[Caller]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.made.append(self)

    @classmethod
    async def at(cls, door: HttpDoor, source: str = "127.0.0.1", **options: Any) -> Caller:
        return cls(*await asyncio.open_connection(door.port.host, door.port.number, local_addr=(source, 0), **options))

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        async with asyncio.timeout(PATIENCE_S):
            first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body

    async def rest(self) -> bytes:
        """All until the door hangs up; empty also where it did so without a word."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._reader.read()
        except ConnectionError:
            return b""

    async def read(self, most: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self._reader.read(most)

    async def leave(self) -> None:
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


@pytest.fixture(autouse=True)
async def all_leave() -> AsyncIterator[None]:
    yield
    await asyncio.gather(*(caller.leave() for caller in Caller.made))
    Caller.made.clear()


async def is_well(door: HttpDoor, source: str = "127.0.0.1") -> bool:
    caller = await Caller.at(door, source)
    caller.say(HEAD + b"Connection: close\r\n\r\n")
    status, _, body = await caller.answer()
    await caller.leave()
    return (status, body) == (200, b"little")


def problem(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str, str]:
    """Status, name and message of an error that has the shape and the headers of all errors."""
    status, headers, body = answer
    assert headers["content-type"] == "application/json" and headers["connection"] == "close"
    assert headers["server"] == "tonnetz" and headers["x-content-type-options"] == "nosniff"
    error = json.loads(body)["error"]
    assert set(error) == {"code", "name", "message", "data"}
    return status, error["name"], error["message"]


# ---- Who says nothing ------------------------------------------------------------------------------------------------


async def test_who_says_nothing_is_cut_off(open_door: OpenDoor) -> None:
    door = await open_door(head_s=0.3)
    silent = [await Caller.at(door) for _ in range(20)]
    assert [await caller.rest() for caller in silent] == [b""] * 20
    assert await is_well(door)


@pytest.mark.parametrize("said", [b"G", HEAD, HEAD + b"X-More: " + b"y" * 2000])
async def test_who_stops_within_the_headers_is_told_so(open_door: OpenDoor, said: bytes) -> None:
    door = await open_door(head_s=0.3)
    caller = await Caller.at(door)
    caller.say(said)
    status, name, message = problem(await caller.answer())
    assert (status, name) == (408, "invalid_request") and "0.3 s" in message
    assert await caller.rest() == b""


async def test_headers_that_trickle_in_do_not_win_time(open_door: OpenDoor) -> None:
    """Each byte is a sign of life; the time is for all of them."""
    door = await open_door(head_s=0.5)
    caller = await Caller.at(door)

    async def trickle() -> None:
        for byte in HEAD * 100:
            caller.say(bytes([byte]))
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    begin = time.monotonic()
    assert problem(await caller.answer())[0] == 408
    trickling.cancel()
    assert time.monotonic() - begin < len(HEAD) * 0.02 * 50, "long before all was said"


async def test_a_second_request_has_its_own_time(open_door: OpenDoor) -> None:
    """Between two requests nothing need be said; within the second it must go on."""
    door = await open_door(head_s=0.4)
    caller = await Caller.at(door)
    for _ in range(2):
        caller.say(HEAD + b"\r\n")
        assert (await caller.answer())[0] == 200
        await asyncio.sleep(0.8)
    caller.say(HEAD)
    assert problem(await caller.answer())[0] == 408


async def test_requests_may_come_all_at_once(open_door: OpenDoor) -> None:
    door = await open_door(head_s=0.4)
    caller = await Caller.at(door)
    caller.say((HEAD + b"\r\n") * 20 + HEAD)
    assert [(await caller.answer())[0] for _ in range(20)] == [200] * 20
    caller.say(b"\r\n")
    assert (await caller.answer())[0] == 200


async def test_a_refused_request_leaves_the_connection_as_it_is(open_door: OpenDoor) -> None:
    door = await open_door(head_s=0.4)
    caller = await Caller.at(door)
    caller.say(b"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (await caller.answer())[0] == 404
    await asyncio.sleep(0.8)
    caller.say(HEAD + b"\r\n")
    assert (await caller.answer())[0] == 200


async def test_a_body_that_does_not_come(open_door: OpenDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(params, "BODY_S", 0.5)
    door = await open_door(head_s=0.2)
    caller = await Caller.at(door)
    form = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n"
    caller.say(b"POST /api/take HTTP/1.1\r\n" + form + b'{"value"')
    status, _, body = await caller.answer()
    assert status == 408 and "The body did not arrive within 0.5 s" in json.loads(body)["error"]["message"]
    assert await is_well(door)


async def test_a_body_that_comes_after_its_answer_begins_no_request(open_door: OpenDoor) -> None:
    """What is refused before its body is there: the rest of it is no part of another request's headers."""
    door = await open_door(head_s=0.4)
    caller = await Caller.at(door)
    caller.say(b"POST /api/nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n1234567890")
    assert (await caller.answer())[0] == 404
    caller.say(b"1234567890")
    await asyncio.sleep(0.8)
    caller.say(HEAD + b"\r\n")
    assert (await caller.answer())[0] == 200


async def test_a_websocket_may_be_silent(open_door: OpenDoor) -> None:
    door = await open_door(head_s=0.2)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://{door.port.address}/api/ws/graph?events=off") as client,
    ):
        await asyncio.sleep(0.6)
        await client.send_str('{"jsonrpc": "2.0", "id": 1, "method": "test.small"}')
        assert (await client.receive_json(timeout=PATIENCE_S))["result"] == "little"


# ---- Who reads nothing -----------------------------------------------------------------------------------------------


def narrow() -> socket.socket:
    """A socket with next to no room for what comes."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return made


async def asking_for_much(door: HttpDoor) -> Caller:
    connection = narrow()
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (door.port.host, door.port.number))
    caller = Caller(*await asyncio.open_connection(sock=connection, limit=1024))
    caller.say(b"GET /api/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return caller


async def test_who_reads_nothing_is_cut_off(open_door: OpenDoor) -> None:
    door = await open_door(unread_s=0.3, most=1)
    caller = await asking_for_much(door)
    end = time.monotonic() + PATIENCE_S
    while not await has_room(door):
        assert time.monotonic() < end
        await asyncio.sleep(0.1)
    assert len(await caller.rest()) < LARGE


async def has_room(door: HttpDoor) -> bool:
    caller = await Caller.at(door)
    caller.say(HEAD + b"Connection: close\r\n\r\n")
    status, *_ = await caller.answer()
    await caller.leave()
    return status == 200


async def test_who_reads_slowly_gets_all(open_door: OpenDoor) -> None:
    """It takes many times as long as nothing at all may be read."""
    door = await open_door(unread_s=0.4)
    caller = await asking_for_much(door)
    begin, got = time.monotonic(), 0
    while got < LARGE:
        piece = await caller.read(1 << 20)
        assert piece, f"cut off after {got} bytes"
        got += len(piece)
        if time.monotonic() - begin < 2.0:
            await asyncio.sleep(0.1)
    assert time.monotonic() - begin > 1.2
    await caller.leave()


# ---- How many --------------------------------------------------------------------------------------------------------


async def test_so_many_from_one_address(open_door: OpenDoor) -> None:
    door = await open_door(from_one=3)
    here = [await Caller.at(door) for _ in range(3)]
    for caller in here:
        caller.say(HEAD + b"\r\n")
        assert (await caller.answer())[0] == 200
    fourth = await Caller.at(door)
    status, name, message = problem(answer := await fourth.answer())
    assert (status, name) == (429, "unavailable") and "3 connections come from 127.0.0.1" in message
    assert answer[1]["retry-after"] == "5"
    assert await is_well(door, "127.0.0.2"), "others are not concerned"
    await here.pop().leave()
    end = time.monotonic() + PATIENCE_S
    while not await has_room(door):
        assert time.monotonic() < end


async def test_so_many_in_all(open_door: OpenDoor) -> None:
    door = await open_door(most=4, from_one=3)
    callers = [await Caller.at(door, f"127.0.0.{1 + number % 2}") for number in range(4)]
    for caller in callers:
        caller.say(HEAD + b"\r\n")
        assert (await caller.answer())[0] == 200
    status, name, message = problem(await (await Caller.at(door, "127.0.0.3")).answer())
    assert (status, name) == (503, "unavailable") and "4 connections are open" in message


async def test_a_crowd_at_a_full_door_is_told_or_cut_off(open_door: OpenDoor) -> None:
    """It takes no more than it has room for, whoever comes on top, and is there again as soon as there is room."""
    door = await open_door(most=1)
    first = await Caller.at(door)
    crowd = await asyncio.gather(*(Caller.at(door) for _ in range(200)))
    heard = await asyncio.gather(*(caller.rest() for caller in crowd))
    assert {data[:12] for data in heard} <= {b"", b"HTTP/1.1 503"} and any(heard)
    await first.leave()
    end = time.monotonic() + PATIENCE_S
    while not await has_room(door):
        assert time.monotonic() < end


@pytest.fixture
def crowded() -> Iterator[Web]:
    """A daemon as it is delivered."""
    yield from running(CONFIGURATION.replace("http: false", 'http: {listen: "127.0.0.1:0"}'))


def test_a_real_door_holds_600_from_one_address(crowded: Web) -> None:
    """They say nothing; whoever comes from elsewhere, or by another door, notices nothing."""
    place = urlsplit(crowded.base)
    address = (place.hostname or "", place.port or 0)
    held = [socket.create_connection(address, timeout=PATIENCE_S) for _ in range(600)]
    try:
        refused = crowded.curl("GET", "/healthz")
        assert refused.status == 429 and "600 connections" in refused.json["error"]["message"]
        assert crowded.curl("GET", "/healthz", None, "--interface", "127.0.0.2").status == 200
        with crowded.daemon.client() as client:
            assert client.call("system.version")["api"] == 1
    finally:
        for connection in held:
            connection.close()
    end = time.monotonic() + PATIENCE_S
    while crowded.curl("GET", "/healthz").status != 200:
        assert time.monotonic() < end


# ---- What is not fetched again ---------------------------------------------------------------------------------------


async def test_what_a_client_has_is_not_even_made(open_door: OpenDoor, session: FakeSession) -> None:
    door = await open_door()
    session.revision = 7
    async with aiohttp.ClientSession(f"http://{door.port.address}") as http:

        async def ask(known: str | None, query: str = "") -> int:
            headers = {} if known is None else {"If-None-Match": known}
            async with http.get(f"/api/tagged{query}", headers=headers) as answer:
                assert answer.headers.get("ETag") == '"7"' or answer.status == 400
                return answer.status

        assert await ask(None) == 200 and session.done == ["built"]
        for known in ('"7"', 'W/"7"', '"6", "7"', "*"):
            assert await ask(known) == 304
        assert await ask('"7"', "?nonsense=1") == 400
        assert session.done == ["built"]
        for known in ('"6"', '"77"', "7", ""):
            assert await ask(known) == 200
        assert session.done == ["built"] * 5
