"""Cards that come and go, seen in a folder that stands for /dev/snd."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tonnetz.daemon.endpoints.alsa_worker import folder as module
from tonnetz.daemon.endpoints.alsa_worker.folder import CardFolder, Cards


class Machine:
    """A machine whose cards are files; what was told of them."""

    def __init__(self, path: Path) -> None:
        self.folder = path / "dev" / "snd"
        self.about = path / "asound"
        self.folder.parent.mkdir()
        self.told: list[tuple[Cards, Cards]] = []
        self.watching = CardFolder(lambda *told: self.told.append(told), self.folder, self.about)

    def plug_in(self, index: int, id: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.about / f"card{index}").mkdir(parents=True)
        (self.about / f"card{index}" / "id").write_text(f"{id}\n")
        for name in (f"pcmC{index}D0p", f"controlC{index}"):
            (self.folder / name).touch()

    def unplug(self, index: int) -> None:
        for name in (f"pcmC{index}D0p", f"controlC{index}"):
            (self.folder / name).unlink()
        (self.about / f"card{index}" / "id").unlink()

    async def hear(self, times: int) -> None:
        end = time.monotonic() + 20
        while len(self.told) < times:
            assert time.monotonic() < end, self.told
            await asyncio.sleep(0.01)


@pytest.fixture
async def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Machine]:
    monkeypatch.setattr(module, "SETTLE_S", 0.1)
    made = Machine(tmp_path)
    yield made
    made.watching.close()


async def test_the_first_card_of_a_machine(machine: Machine) -> None:
    machine.watching.open()
    machine.plug_in(0, "USB")
    await machine.hear(1)
    assert machine.told == [({0: "USB"}, {})]
    machine.plug_in(1, "PCH")
    await machine.hear(2)
    machine.unplug(0)
    await machine.hear(3)
    assert machine.told[1:] == [({1: "PCH"}, {}), ({}, {0: "USB"})]
    assert machine.watching.cards() == {1: "PCH"}


async def test_cards_that_are_there_are_no_news(machine: Machine) -> None:
    machine.plug_in(0, "PCH")
    machine.watching.open()
    (machine.folder / "timer").touch()
    await asyncio.sleep(0.3)
    assert machine.told == []
    assert machine.watching.cards() == {0: "PCH"}


async def test_a_card_without_a_word_about_it(machine: Machine) -> None:
    machine.watching.open()
    machine.folder.mkdir()
    (machine.folder / "controlC3").touch()
    await machine.hear(1)
    assert machine.told == [({3: module.UNKNOWN}, {})]


async def test_a_kernel_that_has_no_watch_left(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    class NoMore:
        def inotify_init1(self, flags: int) -> int:
            return -1

    monkeypatch.setattr(module.ctypes, "CDLL", lambda *name, **options: NoMore())
    machine.watching.open()
    machine.plug_in(0, "PCH")
    await asyncio.sleep(0.2)
    assert machine.told == []
