"""Random transactions: mostly sensible ones for a graph as it is, and some that are wrong in one place or more."""

from __future__ import annotations

import random
from typing import Any, get_args

from tonnetz.daemon.graph.edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Disconnect,
    RemoveNode,
    ReplaceNode,
    Strategy,
)

from .second_opinion import Fact, Opinion

# What drains plays on for as long as it holds something: tests/test_draining.py hears to that.
STRATEGIES = tuple(strategy for strategy in get_args(Strategy) if strategy != "drain")
IDS = [f"n{number:02}" for number in range(14)]
# What arithmetic can tell comes more often than what it can't; of every kind of port and rule there is at least one.
KINDS = ["signal"] * 4 + ["gain"] * 4 + ["mixer"] * 4 + ["channel_map", "delay", "delay"] + ["ear"] * 4
KINDS += ["null_output", "tone", "equalizer", "compressor"]
VERBS = ["add"] * 3 + ["connect"] * 10 + ["disconnect", "configure", "configure", "remove", "replace", "bypass"]
WIDTHS = [1, 1, 1, 1, 2, 2, 2, 2, 3]
DECIBELS = [0.0, -6.0, -3.3, 1.5, -12.0, -20.0]
STRIPS: list[dict[str, Any]] = [{}, {"gain_db": -4.5}, {"pan": -0.3}, {"pan": 1.0}] * 3 + [
    {"mute": True},
    {"solo": True},
]
WRONG_CONFIGS: list[dict[str, Any]] = [
    {"nonsense": 1},
    {"gain_db": 99},
    {"channels": 0},
    {"time_ms": "x"},
    {"max_ms": -1},
]
WRONG_PORTS = ["out", "in", "in_1", "in_9", "sidechain", "gain_db", "gain_reduction_db"]


class Edits:
    """Draws edits of a graph as it is in somebody's opinion."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def transaction(self, opinion: Opinion, sensible: bool, count: int) -> list[AnyEdit]:
        """Up to `count` edits. `sensible`: each of them holds by itself, and what comes out is wrong only now and then."""
        drawn: list[AnyEdit] = []
        for _ in range(count):
            wrong = not sensible and self.chance.random() < 0.3
            edit = self.wrong(opinion) if wrong else self.edit(opinion)
            trial = opinion.another()
            problem = trial.apply(edit)
            if wrong or not (problem or (trial.flaws() and self.chance.random() < 0.9)):
                drawn.append(edit)
                opinion = opinion if problem else trial
        return drawn

    def edit(self, opinion: Opinion) -> AnyEdit:
        """One edit that nothing speaks against by itself, unless no such edit is there."""
        chance, nodes = self.chance, opinion.nodes
        verb = chance.choice(VERBS)
        free = [name for name in IDS if name not in nodes]
        if (verb == "add" and free) or len(nodes) < 3:
            kind = chance.choice(KINDS)
            return AddNode(id=chance.choice(free), type=kind, config=self.config(kind), bypass=chance.random() < 0.05)
        if verb == "connect":
            return self.connection(opinion)
        if verb == "disconnect" and opinion.wires:
            wire = chance.choice(sorted(opinion.wires))
            return Disconnect(source=wire.source, target=wire.target)
        return self.change(verb, chance.choice(sorted(nodes)), opinion)

    def change(self, verb: str, name: str, opinion: Opinion) -> AnyEdit:
        chance, kind = self.chance, opinion.nodes[name].spec.type
        if verb == "remove":
            return RemoveNode(id=name, strategy=chance.choice(STRATEGIES))
        if verb == "replace":
            kind = chance.choice([kind, *KINDS])
            return ReplaceNode(id=name, type=kind, config=self.config(kind))
        if verb == "bypass":
            return BypassNode(id=name, bypass=chance.random() < 0.25)
        return ConfigureNode(id=name, config=self.config(kind))

    def connection(self, opinion: Opinion) -> Connect:
        """Mostly from a lower id to a higher one, so that few close a loop, and between ports of sound."""
        givers = sorted(name for name, node in opinion.nodes.items() if node.ports("output"))
        takers = sorted(name for name, node in opinion.nodes.items() if node.ports("input"))
        if not givers or not takers:
            return self.wrong_connection()
        source, target = self.chance.choice(givers), self.chance.choice(takers)
        if source > target and source in takers and target in givers and self.chance.random() < 0.95:
            source, target = target, source
        output, input_ = self.port(opinion.nodes[source], "output"), self.port(opinion.nodes[target], "input")
        return Connect(source=f"{source}.{output}", target=f"{target}.{input_}")

    def port(self, node: Fact, direction: str) -> str:
        known = node.ports(direction)
        return self.chance.choice(
            [name for name, spec in known.items() for _ in range(8 if spec.signal == "audio" else 1)]
        )

    def config(self, kind: str) -> dict[str, Any]:
        """Some of the parameters of a node. Delays stay such that what they give is what came in, later."""
        choice = self.chance.choice
        if kind == "delay":  # both: the time fits into the line whatever was before
            return {"time_ms": choice([0.0, 0.5, 1.0, 3.3, 5.0]), "max_ms": choice([6.0, 10.0])}
        if kind == "channel_map":
            rows, columns = choice(WIDTHS), choice(WIDTHS)
            matrix = [[choice([None, 0.0, -6.0, -2.5]) for _ in range(columns)] for _ in range(rows)]
            return {"in_channels": columns, "out_channels": rows, "matrix_db": choice([None, matrix])}
        given: dict[str, dict[str, Any]] = {
            "signal": {"seed": choice(range(10)), "gain_db": choice(DECIBELS), "channels": choice(WIDTHS)},
            "ear": {"channels": choice(WIDTHS)},
            "tone": {"channels": choice(WIDTHS)},
            "gain": {"gain_db": choice(DECIBELS), "mute": self.chance.random() < 0.1, "invert": choice([True, False])},
            "mixer": {"inputs": self.chance.choices(STRIPS, k=choice([2, 3, 5])), "gain_db": choice([0.0, -1.5])},
            "equalizer": {
                "bands": self.chance.choices([{}, {"gain_db": 6.0}], k=choice([1, 2, 3])),
                "gain_db": choice(DECIBELS),
            },
            "compressor": {"threshold_db": choice(DECIBELS[:2]), "lookahead_ms": choice([0.0, 2.0])},
            "null_output": {},
        }
        return {name: value for name, value in given[kind].items() if self.chance.random() < 0.6}

    # ---- What can't be ---------------------------------------------------------------------------------------------

    def wrong(self, opinion: Opinion) -> AnyEdit:
        """An edit that most probably does not hold."""
        choice = self.chance.choice
        name = choice(IDS)
        known = opinion.nodes.get(name)
        return choice(
            [
                AddNode(id=name, type=choice(["nonsense", *KINDS]), config=choice(WRONG_CONFIGS)),
                AddNode(id=choice([*opinion.nodes, name]), type="gain"),
                self.wrong_connection(),
                Connect(**dict(zip(("source", "target"), choice(sorted(opinion.wires)), strict=True)))
                if opinion.wires
                else self.wrong_connection(),
                Disconnect(source=f"{name}.out", target=f"{choice(IDS)}.in"),
                ConfigureNode(id=name, config=choice(WRONG_CONFIGS)),
                ReplaceNode(id=name, type=choice(["nonsense", "gain"]), config=choice([{}, *WRONG_CONFIGS])),
                RemoveNode(id=name),
                BypassNode(id=name if known is None else choice(IDS), bypass=True),
            ]
        )

    def wrong_connection(self) -> Connect:
        ends = [f"{self.chance.choice(IDS)}.{self.chance.choice(WRONG_PORTS)}" for _ in range(2)]
        return Connect(source=ends[0], target=ends[1])
