"""What no edit touches sounds, to the bit, as if nothing had been edited; what is kept keeps its memory; and a graph sounds
the same however it came about."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tonnetz.daemon.graph.document import to_document
from tonnetz.daemon.graph.edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Disconnect,
    MoveNode,
    RemoveNode,
    RenameNode,
    ReplaceNode,
)
from tonnetz.daemon.graph.rules import Limits
from tonnetz.daemon.graph.transaction import apply_edits
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session

from ..recordings import Samples
from .studio import Studio, document, node, recorder, studio

BLOCKS = 400
KEPT = [
    node("noise", "tone", wave="pink", level_db=-3, channels=2),
    node("sweep", "tone", wave="sweep", sweep_s=1, channels=1),
    node("eq", "equalizer", bands=[{"frequency": 200, "gain_db": 9, "q": 4}, {"type": "low_pass", "slope_db_oct": 48}]),
    node("squeeze", "compressor", threshold_db=-30, release_ms=300, lookahead_ms=5),
    node("late", "delay", time_ms=150, feedback=0.7, mix=0.5),
    node("mix", "mixer", inputs=[{}, {"gain_db": -6, "pan": 0.3}, {"gain_db": -3}]),
    recorder("kept", 2),
    recorder("wild", 2),
]
WIRES = (
    "noise.out > eq.in",
    "eq.out > squeeze.in",
    "sweep.out > squeeze.sidechain",
    "squeeze.out > late.in",
    "late.out > mix.in_1",
    "sweep.out > mix.in_2",
    "noise.out > mix.in_3",
    "mix.out > kept.in",
)
UNTOUCHED = {"noise", "sweep", "eq", "squeeze", "late", "mix", "kept"}
TYPES = ("tone", "gain", "gain", "mixer", "equalizer", "delay", "compressor", "channel_map", "null_output")


class Storm:
    """Random transactions that leave some nodes, and what they hear, alone. They may listen to these."""

    def __init__(self, session: Session, seed: int, untouched: set[str], types: tuple[str, ...] = TYPES) -> None:
        self.session = session
        self.chance = random.Random(seed)
        self.untouched = untouched
        self.types = types

    async def rage(self, made: Studio) -> bool:
        """Applies a transaction with some fade or other; whether it was accepted."""
        try:
            await made.apply(self.transaction(), self.chance.choice([None, 0.0, 1.0, 5.0, 30.0]))
        except Refusal as refusal:
            kinds = {problem.kind for problem in refusal.problems}
            if kinds != {"channel_mismatch"}:  # what would meet around bypassed nodes is found only then
                raise
            return False
        return True

    def transaction(self) -> list[AnyEdit]:
        """Some edits that are accepted, tried out on a copy."""
        while True:
            edits = [edit for _ in range(self.chance.randint(1, 4)) if (edit := self.edit())]
            try:
                apply_edits(self.session.graph, edits, self.session.catalogue, Limits())
            except Refusal:
                continue
            if edits:
                return edits

    def edit(self) -> AnyEdit | None:
        """One edit; it may not hold."""
        chance, graph = self.chance, self.session.graph
        wild = sorted(set(graph.nodes) - self.untouched - {"wild"})
        if len(wild) < 3 or (len(wild) < 10 and chance.random() < 0.3):
            return AddNode(type=chance.choice(self.types))
        some = chance.choice(wild)
        match chance.randrange(14):
            case 0:
                return RemoveNode(id=some, strategy=chance.choice(["fade", "immediate", "bridge"]))
            case 1 | 2:
                own = [wire.id for wire in graph.connections.values() if wire.target_node not in self.untouched]
                return Disconnect(id=chance.choice(sorted(own))) if own else None
            case 3 | 4:
                return self.configuration(some)
            case 5:
                return BypassNode(id=some, bypass=chance.random() < 0.5)
            case 6:
                return ReplaceNode(id=some, type=chance.choice(self.types))
            case 7:
                return MoveNode(id=some, x=chance.random(), y=0)
            case 8:
                return RenameNode(id=some, label=f"number {chance.random()}")
        source = chance.choice([name for name in graph.nodes if name not in ("kept", "wild")])
        return self.connection(source, chance.choice([*wild, "wild", "wild"]))

    def connection(self, source: str, target: str) -> Connect:
        kind = self.session.graph.nodes[target].type
        ports = {"mixer": ["in_1", "in_2"], "compressor": ["in", "sidechain"]}.get(kind, ["in"])
        return Connect(source=f"{source}.out", target=f"{target}.{self.chance.choice(ports)}")

    def configuration(self, name: str) -> ConfigureNode:
        chance = self.chance
        changes: dict[str, list[dict[str, Any]]] = {
            "tone": [{"frequency": chance.uniform(50, 5000)}, {"wave": "white"}, {"channels": chance.choice([1, 2])}],
            "gain": [{"gain_db": chance.uniform(-20, 6)}, {"mute": chance.random() < 0.5}, {"invert": True}],
            "mixer": [{"inputs": {"0": {"pan": chance.uniform(-1, 1)}}}, {"inputs": [{}, {}, {"solo": True}]}],
            "equalizer": [{"bands": {"0": {"gain_db": chance.uniform(-9, 9)}}}, {"bands": [{}] * chance.randint(1, 4)}],
            "delay": [{"time_ms": chance.uniform(0, 200)}, {"max_ms": 300}, {"feedback": chance.random() * 0.9}],
            "compressor": [{"ratio": chance.uniform(1, 9)}, {"lookahead_ms": chance.choice([0, 2, 4])}],
            "channel_map": [{"matrix_db": [[0, -6], [None, 0]]}, {"in_channels": 1}],
            "null_output": [{}],
        }
        return ConfigureNode(id=name, config=chance.choice(changes[self.session.graph.nodes[name].type]))


async def undisturbed(folder: Path) -> Samples:
    async with studio(folder, document(KEPT, *WIRES)) as made:
        await made.session.runtime.step(BLOCKS)
    return made.recordings["kept"]


@pytest.mark.parametrize("seed", range(6))
async def test_a_branch_beside_a_storm_of_edits_is_the_same_to_the_bit(seed: int, tmp_path: Path) -> None:
    calm = await undisturbed(tmp_path / "calm")
    async with studio(tmp_path / "storm", document(KEPT, *WIRES)) as made:
        storm = Storm(made.session, seed, UNTOUCHED)
        left, transactions = BLOCKS, 0
        while left:
            for _ in range(storm.chance.randint(0, 3)):
                transactions += await storm.rage(made)
            blocks = min(left, storm.chance.randint(1, 6))
            await made.session.runtime.step(blocks)
            left -= blocks
    assert transactions > 100
    assert np.ptp(made.recordings["wild"]) > 0.1, "the storm was not heard"
    np.testing.assert_array_equal(made.recordings["kept"], calm)


STATELESS = ("gain", "gain", "mixer", "mixer", "channel_map")
SOURCES = [
    node("one", "tone", wave="white", seed=1, level_db=-12, channels=1),
    node("two", "tone", wave="white", seed=2, level_db=-12, channels=2),
    node("three", "tone", wave="sine", frequency=321.7, level_db=-9, channels=2),
    recorder("wild", 2),
]


@pytest.mark.parametrize("seed", range(12))
async def test_a_graph_sounds_the_same_however_it_came_about(seed: int, tmp_path: Path) -> None:
    """After a storm has settled it gives, to the bit, what its document gives when it is loaded afresh: no wire is left
    over or missing, every gain has arrived, and even the order in which floats are added is the same."""
    async with studio(tmp_path / "long", document(SOURCES, "one.out > wild.in")) as made:
        storm = Storm(made.session, seed, {"one", "two", "three"}, STATELESS)
        while made.session.revision < 60 or len(made.session.graph.connections) < 8:
            await storm.rage(made)
            await made.session.runtime.step(storm.chance.randint(0, 4))
        await made.session.runtime.step(20)  # 5120 frames: all fades and glides are over
        settled = made.session.engine.frame
        await made.session.runtime.step(10)
        graph = to_document(made.session.graph, made.session.catalogue)
    storm.chance.shuffle(graph["nodes"])
    storm.chance.shuffle(graph["connections"])
    async with studio(tmp_path / "fresh", graph) as fresh:
        await fresh.session.runtime.step(made.session.engine.frame // 256)
    np.testing.assert_array_equal(made.recordings["wild"][:, settled:], fresh.recordings["wild"][:, settled:])


async def test_many_sources_of_one_input_sound_the_same_in_whatever_order_they_came(tmp_path: Path) -> None:
    """Twelve floats added in another order differ in their last bit."""
    names = [f"tone_{number}" for number in range(12)]
    nodes = [node(name, "tone", wave="white", seed=number, level_db=-20) for number, name in enumerate(names)]
    chance = random.Random(1)
    heard = []
    for run in range(4):
        chance.shuffle(nodes)
        chance.shuffle(names)
        graph = document([*nodes, recorder("sum", 2)], *(f"{name}.out > sum.in" for name in names))
        async with studio(tmp_path / str(run), graph) as made:
            await made.session.runtime.step(5)
            for name in names[:run]:
                ends = {"source": f"{name}.out", "target": "sum.in"}
                await made.apply([Disconnect(**ends)], 5.0)
                await made.session.runtime.step(run)
                await made.apply([Connect(**ends)], 5.0)
            await made.session.runtime.step(40 - made.session.engine.frame // 256)
        heard.append(made.recordings["sum"][:, -5120:])
    for other in heard[1:]:
        np.testing.assert_array_equal(other, heard[0])
