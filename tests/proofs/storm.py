"""Random transactions, one after the other: what a busy, clumsy crowd does to a graph."""

from __future__ import annotations

import random
from typing import Any

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
    Strategy,
)
from tonnetz.daemon.graph.model import Graph
from tonnetz.daemon.graph.rules import Limits
from tonnetz.daemon.graph.transaction import apply_edits
from tonnetz.daemon.problems import Refusal

from .studio import Studio

TYPES = ("tone", "gain", "gain", "mixer", "equalizer", "delay", "compressor", "channel_map", "null_output")
STATELESS = ("gain", "gain", "mixer", "mixer", "channel_map")
STRATEGIES: tuple[Strategy, ...] = ("fade", "immediate", "drain", "bridge")
FADES_MS = (None, 0.0, 1.0, 5.0, 30.0)


class Storm:
    """Random transactions that leave some nodes, and what these hear, alone. They may listen to them."""

    def __init__(
        self,
        made: Studio,
        seed: int,
        untouched: set[str],
        types: tuple[str, ...] = TYPES,
        fades_ms: tuple[float | None, ...] = FADES_MS,
        strategies: tuple[Strategy, ...] = STRATEGIES,
    ) -> None:
        self.made = made
        self.session = made.session
        self.chance = random.Random(seed)
        self.untouched = untouched
        self.types = types
        self.fades_ms = fades_ms
        self.strategies = strategies

    @property
    def graph(self) -> Graph:
        """What is edited."""
        return self.session.graph

    async def rage(self) -> bool:
        """Applies a transaction with some fade or other; whether it was accepted."""
        try:
            await self.made.apply(self.transaction(), self.chance.choice(self.fades_ms))
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
                apply_edits(self.graph, edits, self.session.catalogue, Limits())
            except Refusal:
                continue
            if edits:
                return edits

    def edit(self) -> AnyEdit | None:
        """One edit; it may not hold."""
        chance, graph = self.chance, self.graph
        wild = sorted(set(graph.nodes) - self.untouched - {"wild"})
        if len(wild) < 3 or (len(wild) < 10 and chance.random() < 0.3):
            return AddNode(type=chance.choice(self.types))
        some = chance.choice(wild)
        match chance.randrange(14):
            case 0:
                return RemoveNode(id=some, strategy=chance.choice(self.strategies))
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
        kind = self.graph.nodes[target].type
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
        return ConfigureNode(id=name, config=chance.choice(changes[self.graph.nodes[name].type]))
