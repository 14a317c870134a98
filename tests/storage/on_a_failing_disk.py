"""A process of tests/storage/test_failing_disk.py, with failing_disk.c preloaded: transactions go on while one write after
the other fails. Prints, as JSON, how many were tried; ends with an AssertionError where anything is not as it should be."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import mmap
import re
import struct
import sys
from pathlib import Path
from typing import Any

from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.daemon.storage import writer

from .desk import WITH_CASTER, apply, session, tone

DOCUMENT = {"nodes": [{"id": "hum", "type": "tone"}, {"id": "cast", "type": "caster"}]}
FOR_EVER = 1 << 30
FORM = "7i"
SIZE = struct.calcsize(FORM)

writer.RETRY_S = 0.01
writer.GRAPH_EVERY = 2  # so that whole graphs, pruning and checkpoints are among what fails
writer.TIDY_BYTES = 1
writer.FRAMES_S = 0.001


class Plan:
    """The struct of failing_disk.c."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), SIZE)

    def set(self, first: int, many: int, error: int, cut: bool, syncs: bool = False) -> None:
        self._memory[:] = struct.pack(FORM, 0, first, many, error, cut, 0, syncs)

    @property
    def calls(self) -> int:
        return int(struct.unpack(FORM, self._memory[:])[0])

    @property
    def failed(self) -> int:
        return int(struct.unpack(FORM, self._memory[:])[5])


async def attempt(made: Session, number: int) -> bool:
    """One transaction in three places, one of them a secret; whether it was accepted. A refused one changes nothing."""
    before = made.graph
    try:
        await apply(
            made,
            {"configure_node": {"id": "hum", "config": {"level_db": -number}}},
            {"configure_node": {"id": "cast", "config": {"key": f"key {number}"}}},
            tone(f"extra_{number}"),
        )
    except Refusal as refusal:
        name = refusal.name
    else:
        return True
    assert name == "unavailable"
    assert made.graph == before, "what was refused is still there"
    assert set(made.stage.plan.base.nodes) == set(before.nodes), "it still sounds"
    return False


async def written(made: Session) -> None:
    """All that was to be done is done, upkeep too, or has failed."""
    store = made.keeping.store
    assert store is not None
    for _ in range(2):
        with contextlib.suppress(Refusal):
            await store.ask(lambda _connection, _forms: None)


async def works_again(made: Session) -> None:
    await written(made)
    for _ in range(500):
        if made.keeping.status.state == "ok":
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"it does not work again: {made.keeping.status}")


async def round_of(folder: Path, plan: Plan, first: int, many: int, error: int, cut: bool, full: bool) -> bool:
    """False where the work was done before the first write that should fail."""
    options: dict[str, Any] = {"durability": "full" if full else "crash", "history_transactions": 3}
    async with session(folder, DOCUMENT, WITH_CASTER, **options) as made:
        plan.set(first, many, error, cut)
        for number in range(1, 5):
            await attempt(made, number)
            await written(made)
        met = plan.failed > 0
        plan.set(0, 0, 0, False)
        await works_again(made)
        assert await attempt(made, 7), "it is not as before"
        graph = made.graph
    async with session(folder, None, WITH_CASTER) as again:
        assert again.keeping.status.notes == (), again.keeping.status.notes
        assert again.graph == graph, "what is stored is not what was answered"
    return met


async def rounds_of_beginning(folder: Path, plan: Plan, full: bool) -> int:
    """Each write of a start fails, and all after it: it begins with what is stored, refuses changes until the disk
    works again, and the next one begins with the same graph."""
    durability = "full" if full else "crash"
    async with session(folder, DOCUMENT, WITH_CASTER) as made:
        await attempt(made, 1)
        graph = made.graph
    first = 0
    while True:
        first += 1
        plan.set(first, FOR_EVER, errno.ENOSPC, False)
        async with session(folder, None, WITH_CASTER, durability=durability) as again:
            assert again.graph == graph
            await written(again)
            failed = plan.failed
            if again.keeping.status.state == "refusing":
                assert not await attempt(again, 2)
            plan.set(0, 0, 0, False)
            await works_again(again)
            assert await attempt(again, 2 + first)
            graph = again.graph
        async with session(folder, None, WITH_CASTER) as again:
            assert again.graph == graph and again.keeping.status.notes == ()
        if not failed:
            return first


async def syncs_that_fail(folder: Path, plan: Plan, full: bool) -> int:
    """The disk takes every write, and never says that it has arrived. Who wants to be safe from a loss of power is
    refused; who does not is answered. Gives how many failed before the answer."""
    durability = "full" if full else "crash"
    writer.TIDY_BYTES = 1 << 20  # for a log that begins anew its head is synced, whoever asked for what
    async with session(folder, DOCUMENT, WITH_CASTER, durability=durability) as made:
        await attempt(made, 0)
        await written(made)
        plan.set(1, FOR_EVER, errno.EIO, False, syncs=True)
        accepted = await attempt(made, 1)
        failed = plan.failed
        assert accepted is not full
        if full:
            status = made.keeping.status
            # As SQLite says it; or as the system does, where the file of secrets was first.
            assert status.state == "refusing" and re.search("disk I/O error|Input/output error", status.message), status
            assert not await attempt(made, 2), "nor is anything else accepted"
        plan.set(0, 0, 0, False)
        await works_again(made)
        assert await attempt(made, 3)
        graph = made.graph
    async with session(folder, None, WITH_CASTER) as again:
        assert again.graph == graph and again.keeping.status.notes == ()
    return failed


async def main(folder: Path, plan: Plan, full: bool) -> dict[str, int]:
    tried = {}
    for name, error, many, cut in (
        ("ENOSPC once", errno.ENOSPC, 1, False),
        ("ENOSPC", errno.ENOSPC, FOR_EVER, False),
        ("EIO", errno.EIO, FOR_EVER, False),
        ("cut short, then ENOSPC", errno.ENOSPC, FOR_EVER, True),
    ):
        first = 1
        while await round_of(folder / f"{name} {first}", plan, first, many, error, cut, full):
            first += 1
        tried[name] = first - 1
    tried["beginning"] = await rounds_of_beginning(folder / "beginning", plan, full)
    tried["syncs"] = await syncs_that_fail(folder / "syncs", plan, full)
    return tried


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1]), Plan(sys.argv[2]), sys.argv[3] == "full"))))
