"""Plays a scenario on the step clock, through `Session.apply`, and keeps what was recorded, told and refused.

There are three ways to play it:

`straight`     as it stands, in as large steps as the transactions allow.
`block_wise`   the same, stopping after every block, so that what has faded out is cleared away at other moments. Whatever
               the nodes are: the recordings must be the same to the bit. It is also a second run of the same thing.
`undone`       each accepted transaction is carried out, undone, redone as the inverse of its inverse, undone again, all
               with no fade and before the next block; then carried out as it says. Every time the graph must be the one it
               was, or was to be, up to the order in which nodes and connections are listed. The recordings must equal
               those of the straight run, with these exceptions, for which a scenario says why it `undone_differs`:
               - A node that comes back by undo is a fresh one. A gain or a mixer does not mind; a filter, a delay, a
                 tone or a player has forgotten where it was, which is heard while it fades out in the end.
               - A node with another structure takes over as much as its successor can hold: back again, the rest is lost.
               - "No fade" ends fades and glides under way in the nodes and connections that the transaction touches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.graph.document import edits_from_plain, to_document
from tonnetz.daemon.graph.edits import AnyEdit
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.session import Session

from ..recordings import Recorders, Recording, joined
from .expressions import evaluate
from .scenario import Scenario, Sound, Transaction

Samples = NDArray[np.float32]  # (channels, frames)
Manner = Literal["straight", "block_wise", "undone"]

CALLER = Caller("scenario", "admin", "test")
APART = {"node_state_changed", "log", "runtime_changed"}  # events that come by themselves, not with a transaction


@dataclass(frozen=True)
class Outcome:
    """What a transaction came to."""

    transaction: Transaction
    receipt: Receipt | None
    refusal: Refusal | None
    events: list[str]


@dataclass
class Performance:
    """A scenario played once. `recordings`: per node, in the order in which its files began; empty files are left out."""

    scenario: Scenario
    sounds: dict[str, Samples] = field(default_factory=dict)
    outcomes: list[Outcome] = field(default_factory=list)
    recordings: dict[str, list[Recording]] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)

    def recording(self, node_id: str) -> Recording:
        """All that a node recorded as one piece: files that follow each other without a gap are joined."""
        return joined(node_id, self.recordings.get(node_id, []))


async def play(scenario: Scenario, folder: Path, manner: Manner = "straight") -> Performance:
    performance = Performance(scenario, write_sounds(scenario.sounds, folder / "sounds"))
    player = _Player(scenario, folder, manner, performance)
    try:
        await player.play()
    finally:
        await player.session.close()
    return performance


def write_sounds(sounds: dict[str, Sound], folder: Path) -> dict[str, Samples]:
    folder.mkdir(parents=True)
    made = {}
    for name, sound in sounds.items():
        number = np.arange(sound.frames)
        channels = [evaluate(text, {"n": number}) * np.ones(sound.frames) for text in sound.samples]
        made[name] = np.array(channels, np.float32)
        soundfile.write(folder / name, made[name].T, sound.sample_rate, subtype="FLOAT")
    return made


class _Player:
    def __init__(self, scenario: Scenario, folder: Path, manner: Manner, performance: Performance) -> None:
        self.scenario = scenario
        self.manner = manner
        self.performance = performance
        self.block = scenario.engine.block_frames
        self.session = Session(
            sample_rate=scenario.engine.sample_rate,
            block_frames=self.block,
            clock="step",
            media=MediaRoots(play_roots=(folder / "sounds",), record_root=folder / "recordings"),
        )
        self.events = self.session.events.subscribe(limit=100_000)
        self.recorders = Recorders(self.session)

    async def play(self) -> None:
        session = self.session
        await session.load(self.scenario.graph, caller=CALLER, fade_ms=0)
        await session.runtime.start()
        await self.collect_events()
        for transaction in self.scenario.transactions:
            await self.step_to(transaction.at_frame)
            await self.carry_out(transaction)
        await self.step_to(self.scenario.frames)
        self.recorders.note()
        await session.runtime.stop()
        await self.collect_events()
        self.performance.recordings = self.recorders.read()

    async def step_to(self, frame: int) -> None:
        while left := (frame - self.session.engine.frame) // self.block:
            await self.session.runtime.step(1 if self.manner == "block_wise" else left)

    # ---- Transactions ------------------------------------------------------------------------------------------------

    async def carry_out(self, transaction: Transaction) -> None:
        self.recorders.note()
        edits = edits_from_plain(transaction.edits)
        if self.manner == "undone" and transaction.refused is None:
            await self.do_and_undo(transaction, edits)
        before, revision, plan = self.document(), self.session.revision, self.session.stage.plan
        receipt = refusal = None
        try:
            receipt = await self.session.apply(
                edits,
                caller=CALLER,
                fade_ms=transaction.fade_ms,
                label=transaction.label,
                base_revision=transaction.base_revision,
                strict=transaction.strict,
            )
        except Refusal as told:
            refusal = told
        if receipt is None:
            assert (self.document(), self.session.revision) == (before, revision), (
                "a refused transaction changed the graph"
            )
            assert self.session.stage.plan is plan, "a refused transaction changed the plan"
        else:
            assert receipt.revision == self.session.revision == revision + 1
        events = [name for name in await self.collect_events() if name not in APART]
        self.performance.outcomes.append(Outcome(transaction, receipt, refusal, events))
        self.recorders.note()

    async def do_and_undo(self, transaction: Transaction, edits: Sequence[AnyEdit]) -> None:
        before = self.document()
        undo = await self.apply_at_once(edits)
        after = self.document()
        redo = await self.apply_at_once(undo)
        assert self.document() == before, f"undoing {transaction.edits} gives another graph"
        undo = await self.apply_at_once(redo)
        assert self.document() == after, f"redoing {transaction.edits} gives another graph"
        await self.apply_at_once(undo)
        assert self.document() == before, f"undoing the redone {transaction.edits} gives another graph"
        await self.collect_events()

    async def apply_at_once(self, edits: Sequence[AnyEdit]) -> Sequence[AnyEdit]:
        """Applies edits without a fade; what takes them back."""
        frame = self.session.engine.frame
        receipt = await self.session.apply(edits, caller=CALLER, fade_ms=0)
        assert receipt.frame == frame, "with the clock standing still a change is adopted at once"
        self.recorders.note()
        return self.session.history.since(receipt.revision - 1)[0].inverse

    def document(self) -> dict[str, Any]:
        """The graph, without the order in which nodes and connections are listed."""
        whole = to_document(self.session.graph, self.session.catalogue, full=True)
        return {
            "name": whole["name"],
            "nodes": {node["id"]: node for node in whole["nodes"]},
            "connections": {(wire["source"], wire["target"]) for wire in whole["connections"]},
        }

    async def collect_events(self) -> list[str]:
        """The names of what was told since the last time; logs are kept."""
        names = []
        for _ in range(len(self.events)):
            event = await anext(self.events)
            assert "dropped" not in event.params
            names.append(event.name)
            if event.name == "log":
                self.performance.logs.append(str(event.params["message"]))
        return names


def differences(one: Performance, other: Performance) -> list[str]:
    """In what the recordings of two performances differ; empty: in nothing."""
    if one.recordings.keys() != other.recordings.keys():
        return [f"recordings of {sorted(one.recordings)} and of {sorted(other.recordings)}"]
    found = []
    for node_id in one.recordings:
        first, second = one.recording(node_id), other.recording(node_id)
        if (first.begin, first.samples.shape) != (second.begin, second.samples.shape):
            found.append(f"{node_id}: frames {first.begin}–{first.end} and {second.begin}–{second.end}")
        elif not np.array_equal(first.samples, second.samples):
            frames = np.flatnonzero((first.samples != second.samples).any(axis=0))
            found.append(f"{node_id}: {len(frames)} frames differ, the first at {first.begin + frames[0]}")
    return found
