"""The journal as an oracle: sessions in which everything is done to a graph that can be done, at random, sound the same to the
bit when they are played again from what was stored of them.

A run of the tests does 2000 transactions; `TONNETZ_TRANSACTIONS=100000` in the environment does so many.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.engine.core import ClockKind
from tonnetz.daemon.graph.edits import AddNode, AnyEdit, ConfigureNode, Connect, Disconnect, RemoveNode, ReplaceNode
from tonnetz.daemon.graph.model import Graph
from tonnetz.daemon.graph.node_state import to_plain
from tonnetz.daemon.graph.rules import Limits
from tonnetz.daemon.graph.transaction import apply_edits
from tonnetz.daemon.offline import replay
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import Settings, StorageSettings
from tonnetz.daemon.startup import begin
from tonnetz.daemon.storage.replaying import recorded_run
from tonnetz.daemon.undoing import redo, undo

from .storm import Storm
from .test_replay import BLOCK, DOCUMENT, PEOPLE

TRANSACTIONS = int(os.environ.get("TONNETZ_TRANSACTIONS", "2000"))
PER_SESSION = 200
LENGTHS = (1, 1, 1, 2, 3, 4, 8, 20, 60, 200)  # at most so many edits in a transaction
FADES_MS = (None, 0.0, 1.0, 20.0, 150.0, 1000.0)
WRONG: Sequence[AnyEdit] = (
    AddNode(type="nonsense"),
    RemoveNode(id="nobody"),
    Connect(source="wild.out", target="wild.in_1"),  # a loop
    Connect(source="noise.out", target="nobody.in"),
    Disconnect(source="wild.out", target="kept.in"),
    ConfigureNode(id="noise", config={"level_db": 99}),
    ReplaceNode(id="wild", type="mixer", config={"inputs": 7}),
)


class Crowd(Storm):
    """People who do all that can be done, and now and then what can't."""

    def __init__(self, session: Session, seed: int) -> None:
        super().__init__(SimpleNamespace(session=session), seed, {"noise", "kept", "writer"})  # type: ignore[arg-type]
        self.draft: Graph | None = None
        self.asked: list[
            tuple[int, int, asyncio.Task[Receipt]]
        ] = []  # with a date: that, the frame it was then, and the answer
        self.told: list[Receipt] = []
        self.done = Counter[str]()

    @property
    def graph(self) -> Graph:
        return self.draft or self.session.graph

    def transaction(self) -> list[AnyEdit]:
        """Edit after edit, each of what the ones before have made."""
        edits: list[AnyEdit] = []
        self.draft = self.session.graph
        for _ in range(self.chance.randint(1, self.chance.choice(LENGTHS))):
            edit = self.edit()
            if edit is None:
                continue
            try:
                self.draft = apply_edits(self.draft, [edit], self.session.catalogue, Limits()).graph
            except Refusal:
                continue
            edits.append(edit)
        self.draft = None
        return edits

    async def live(self, transactions: int) -> None:
        """So many at least are asked for, of which some are refused; and time goes on in between."""
        while self.done["asked"] < transactions:
            await self.let_pass(self.chance.choice([1, 1, 2, 5, 20]))
            for _ in range(self.chance.choice([1, 1, 1, 3])):
                await self.ask()
        await self.let_pass(20000 // BLOCK)  # so that those with a date have come
        for at, then, task in self.asked:
            try:
                receipt = await task
            except Refusal as refusal:
                if refusal.name not in ("conflict", "not_found", "invalid_graph", "invalid_config"):
                    raise
                self.done[f"dropped: {refusal.name}"] += 1
                continue
            due = -(-max(at, then) // BLOCK) * BLOCK
            # Late is one that did not hold when its turn came, and does since another has come as well.
            late = any("late" in warning for warning in receipt.warnings) and at > then
            if self.hurries:  # and one for which this machine was too slow
                assert receipt.frame >= due
            else:
                assert receipt.frame > due if late else receipt.frame == due
            self.done["late, and said so"] += late
            self.told.append(receipt)
            self.done["with a date"] += 1

    @property
    def hurries(self) -> bool:
        """Time goes on while they think."""
        return self.session.engine.clock == "internal"

    async def let_pass(self, blocks: int) -> None:
        if self.hurries:
            await asyncio.sleep(blocks * BLOCK / self.session.engine.sample_rate)
        else:
            await self.session.runtime.step(blocks)

    async def ask(self) -> None:
        chance, session = self.chance, self.session
        fade_ms, person = chance.choice(FADES_MS), chance.choice(PEOPLE)
        deed = chance.choice(["undo", "redo", "wrong", "state", *["dated"] * 3, *["edit"] * 9])
        self.done["asked"] += 1
        try:
            match deed:
                case "undo":
                    receipt = await undo(session, person, None, fade_ms)
                case "redo":
                    receipt = await redo(session, person, fade_ms)
                case "dated":
                    at = session.engine.frame + chance.randint(-BLOCK, 100 * BLOCK)
                    dated = session.apply(self.transaction(), caller=person, fade_ms=fade_ms, at=max(0, at))
                    self.asked.append((at, session.engine.frame, asyncio.create_task(dated)))
                    await asyncio.sleep(0)
                    return
                case _:
                    edits = self.transaction()
                    if deed == "state":
                        edits.append(await self.restored())
                    if deed == "wrong":
                        edits.insert(chance.randint(0, len(edits)), chance.choice(WRONG))
                    receipt = await session.apply(edits, caller=person, fade_ms=fade_ms)
                    assert deed != "wrong"
                    self.done["edits in these"] += len(edits)
        except Refusal as refusal:
            self.done[f"refused: {refusal.name}"] += 1
            if deed not in ("undo", "redo", "wrong") and refusal.name not in (
                "invalid_graph",
                "invalid_config",
                "not_found",
            ):
                raise
            return
        self.done[deed] += 1
        self.told.append(receipt)

    async def restored(self) -> ReplaceNode:
        """A node begins anew with a state that it, or one of its type, had."""
        name = self.chance.choice(sorted(set(self.session.graph.nodes) - {"kept", "writer", "noise"}))
        node = self.session.graph.nodes[name]
        taken = await self.session.states.get(name)
        return ReplaceNode(id=name, type=node.type, config=dict(node.config), state=to_plain(taken.state))


async def lived(folder: Path, seed: int, transactions: int, clock: ClockKind) -> Crowd:
    """A run of a daemon's, recorded into its folder."""
    media = MediaRoots(play_roots=(folder,), record_root=folder)
    session = Session(clock=clock, block_frames=BLOCK, media=media)
    crowd = Crowd(session, seed)
    try:
        await begin(session, Settings(storage=StorageSettings(directory=str(folder / "state")), graph=DOCUMENT))
        await session.runtime.start()
        await crowd.live(transactions)
    finally:
        await session.close()
    return crowd


def heard(folder: Path, name: str) -> Any:
    return soundfile.read(folder / name, dtype="float32", always_2d=True)[0]


@pytest.mark.timeout(300 + TRANSACTIONS)
async def test_a_session_of_everything_is_replayed_to_the_bit(tmp_path: Path) -> None:
    done, frames, differing = Counter[str](), 0, 0
    seed = 0
    while done["asked"] < TRANSACTIONS:
        seed += 1
        live, again = tmp_path / f"{seed}", tmp_path / f"{seed}-again"
        again.mkdir()
        crowd = await lived(live, seed, PER_SESSION, "internal" if seed % 4 == 0 else "step")
        run = recorded_run(live / "state", crowd.session.catalogue)
        journalled = {entry.revision: entry.frame for entry in run.entries}
        assert all(journalled[receipt.revision] == receipt.frame for receipt in crowd.told)
        assert [entry.frame for entry in run.entries] == sorted(journalled.values())
        ends = len(heard(live, "kept.wav"))
        await asyncio.to_thread(replay, live / "state", ends / 48000, again)
        for name in ("kept.wav", "wild.wav"):
            one, other = heard(live, name), heard(again, name)
            assert len(one) == len(other) == ends
            differing += int((one.view(np.uint32) != other.view(np.uint32)).sum())
            assert np.abs(one).max() > 0.05
        done += crowd.done
        frames += ends
        if TRANSACTIONS > 1000:
            print(f"{frames / 48000:.0f} s, {differing} samples differ: {dict(done)}", flush=True)  # noqa: T201
        assert differing == 0, f"seed {seed}"
