"""A bus, and a session with a door on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.session import Session
from tonnetz.rpc.doors.dbus.door import DbusDoor
from tonnetz.rpc.method_table import load_methods

from .bus import Bus, BusClient, client_of

ADMIN = Caller("test", "admin", "test")
GRAPH = {
    "nodes": [{"id": "hum", "type": "tone"}, {"id": "eq", "type": "equalizer"}, {"id": "drain", "type": "null_output"}],
    "connections": [{"source": "hum.out", "target": "eq.in"}, {"source": "eq.out", "target": "drain.in"}],
}


@pytest.fixture
def bus(folder: Path) -> Iterator[Bus]:
    bus = Bus(folder)
    bus.start()
    yield bus
    bus.stop()


@pytest.fixture
async def playing() -> AsyncIterator[Session]:
    """A session on the step clock, with a tone through an equalizer."""
    session = Session(clock="step")
    await session.load(GRAPH, caller=ADMIN)
    yield session
    await session.close()


@pytest.fixture
async def door(bus: Bus, playing: Session) -> AsyncIterator[DbusDoor]:
    door = DbusDoor(playing, load_methods(), bus.address)
    await door.open()
    yield door
    await door.close()


@pytest.fixture
async def client(bus: Bus, door: DbusDoor) -> AsyncIterator[BusClient]:
    async with client_of(bus) as connected:
        yield connected
