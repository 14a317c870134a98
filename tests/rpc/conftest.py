"""A small method table behind a real door, for what concerns the doors alone, and a whole daemon, for the rest."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from msgspec import Meta

from tonnetz.daemon.events import Hub
from tonnetz.daemon.presence import Presence
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.rpc.client import Client, NotReached
from tonnetz.rpc.doors.json_rpc import Limits
from tonnetz.rpc.doors.unix_socket import UnixSocketDoor
from tonnetz.rpc.method_table import Call, MethodTable

from ..alsa.virtual_card import VirtualCard, named
from .doors.dbus.bus import Bus

Decibels = Annotated[float, Meta(ge=-120, le=24, description="gain")]
Milliseconds = Annotated[float, Meta(ge=0, le=10_000)]

# A daemon on the step clock: it plays when told to, so that nothing in a test depends on the machine's speed.
CONFIGURATION = """
engine: {clock: step, realtime_priority: 0}
doors: {socket: {path: SOCKET}, http: false, dbus: BUS}
media: {play_roots: [.], record_root: .}
storage: {directory: state}
graph:
  version: 1
  name: studio
  nodes:
    - {id: hum, type: tone, config: {frequency: 50}}
    - {id: eq, type: equalizer}
    - {id: mix, type: mixer}
    - {id: drain, type: null_output}
  connections:
    - {source: hum.out, target: eq.in}
    - {source: eq.out, target: mix.in_1}
    - {source: mix.out, target: drain.in}
"""


class FakeSession:
    """What the methods of the small table act on: a list that remembers, and events."""

    def __init__(self) -> None:
        self.events = Hub()
        self.presence = Presence(self.events)
        self.revision = 0
        self.done: list[Any] = []


def sample_methods() -> MethodTable:
    """Methods that echo, wait, fail and mutate, to be called through a door."""
    table = MethodTable()

    @table.method("test.echo", role="viewer")
    async def echo(call: Call, value: Any = None) -> Any:
        """Give back what was given."""
        return value

    @table.method("test.gain", role="viewer")
    async def gain(call: Call, node: str, gain_db: Decibels, ramp_ms: Milliseconds = 20.0) -> dict[str, Any]:
        """Give back typed parameters."""
        return {"node": node, "gain_db": gain_db, "ramp_ms": ramp_ms}

    @table.method("test.note", role="operator", mutates=True)
    async def note(call: Call, value: Any) -> int:
        """Remember a value, tell about it, and give how many there are."""
        session = cast("FakeSession", call.session)
        await asyncio.sleep(0)  # a mutation waits for its block: others could come in between
        session.done.append(value)
        session.events.publish("log", {"value": value})
        return len(session.done)

    @table.method("test.wait", role="viewer")
    async def wait(call: Call, ms: Milliseconds) -> str:
        """Take some time."""
        await asyncio.sleep(ms / 1000)
        return "done"

    @table.method("test.refuse", role="viewer")
    async def refuse_it(call: Call) -> None:
        """Refuse."""
        raise Refusal("conflict", "Somebody was quicker.", revision=7)

    @table.method("test.crash", role="viewer")
    async def crash(call: Call) -> None:
        """Fail in a way nobody foresaw."""
        raise RuntimeError("secret path /etc/shadow")

    @table.method("test.unspeakable", role="viewer")
    async def unspeakable(call: Call) -> Any:
        """Give back what JSON has no words for."""
        return {"value": object()}

    @table.method("test.whoami", role="viewer")
    async def whoami(call: Call) -> dict[str, str]:
        """Tell who is calling."""
        return {"name": call.caller.name, "role": call.caller.role, "origin": call.caller.origin}

    @table.method("test.listen", role="viewer")
    async def listen(call: Call) -> int:
        """Send events on this connection."""
        assert call.connection is not None
        call.connection.subscribe(None)
        return cast("FakeSession", call.session).events.seq

    return table


@pytest.fixture
def methods() -> MethodTable:
    return sample_methods()


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


OpenDoor = Callable[..., Awaitable[UnixSocketDoor]]


@pytest.fixture
async def open_door(folder: Path, session: FakeSession, methods: MethodTable) -> AsyncIterator[OpenDoor]:
    """Opens a Unix socket on the small table; closed after the test."""
    doors: list[UnixSocketDoor] = []

    async def open_it(limits: Limits = Limits(), **options: Any) -> UnixSocketDoor:
        path = str(folder / "socket")
        door = UnixSocketDoor(cast("Session", session), methods, path, limits=limits, **options)
        await door.open()
        doors.append(door)
        return door

    yield open_it
    for door in doors:
        await door.close()


class Daemon:
    """A running `tonnetzd` of its own, on a bus if one is given."""

    def __init__(
        self,
        folder: Path,
        configuration: str = CONFIGURATION,
        environment: Mapping[str, str] | None = None,
        bus: Bus | None = None,
    ) -> None:
        self.folder = folder
        self.socket = str(folder / "socket")
        on_bus = f'{{bus: "{bus.address}"}}' if bus else "false"
        text = configuration.replace("SOCKET", self.socket).replace("BUS", on_bus)
        (folder / "tonnetz.yaml").write_text(text)
        command = [sys.executable, "-m", "tonnetz.daemon.main", "--config", str(folder / "tonnetz.yaml")]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=folder, env=os.environ | (environment or {})
            )
        end = time.monotonic() + 30
        while not self.listens():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"tonnetzd did not start:\n{self.log.read_text()}")
            time.sleep(0.02)

    def listens(self) -> bool:
        try:
            self.client().close()
        except NotReached:
            return False
        return True

    def client(self, timeout_s: float = 30.0) -> Client:
        return Client(self.socket, timeout_s)

    def stop(self) -> int:
        """Stops it as a service manager would; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@pytest.fixture(scope="module")
def bus_of_the_file() -> Iterator[Bus]:
    """A message bus for all tests of a file."""
    folder = Path(tempfile.mkdtemp(prefix="tn-"))
    bus = Bus(folder)
    bus.start()
    yield bus
    bus.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def daemon(bus_of_the_file: Bus) -> Iterator[Daemon]:
    """One daemon for all tests of a file, also on a bus; its first nodes are hum, eq, mix and drain. `hw:0` is a virtual
    card."""
    folder = Path(tempfile.mkdtemp(prefix="tn-"))
    card = VirtualCard(folder)
    running = Daemon(folder, environment=named(folder, {"hw": card}), bus=bus_of_the_file)
    yield running
    status = running.stop()
    card.close()
    log = running.log.read_text()
    shutil.rmtree(folder)
    assert status == 0, log
    assert "Traceback" not in log, log
