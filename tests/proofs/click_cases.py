"""What clicks are looked for in: every kind of edit, and every parameter of every node type as its own record tells of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple, get_args

import msgspec

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
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec

from ..rig import catalogue, configured
from .click import GOAL_DB, SINE, Case

# Where the default of a parameter lets another one do nothing, or less than it could: what to begin with instead.
LIVELY: dict[str, dict[str, Any]] = {
    "equalizer": {"bands": [{"gain_db": 9.0, "frequency": 800.0, "q": 1.0}, {"type": "high_pass", "frequency": 300.0}]},
    "compressor": {"threshold_db": -20.0, "mix": 0.8, "makeup_db": 3.0},
    "delay": {"time_ms": 10.0, "feedback": 0.4, "mix": 0.5},
    "gain": {"gain_db": -3.0},
    "mixer": {"inputs": [{"gain_db": -6.0, "pan": 0.3}, {"gain_db": -12.0}]},
    "channel_map": {"matrix_db": [[-3.0, -9.0], [-12.0, -3.0]]},
}


class Bound(NamedTuple):
    """What is promised of some cases, and why it is less than of the others. `steps`: whether the steps of noise are bounded."""

    names: str  # how the names of those cases begin, as a pattern
    db: float
    reason: str
    steps: bool = True


BOUNDS = (
    Bound("insert: compressor", GOAL_DB, "it has heard nothing yet, and lets through what comes first", steps=False),
    Bound(
        "change places with a gain: delay", GOAL_DB, "what is in the delay has not been through the gain", steps=False
    ),
    Bound("tone: frequency", 0.0, "the sine itself goes to where it is listened for"),
    Bound("remove, immediate", -20, "it asks for a cut", steps=False),
    Bound(
        r"equalizer: bands.*frequency", -40, "up to nine octaves in 20 ms are modulation, however smooth", steps=False
    ),
    Bound(r"equalizer: bands.*gain_db: 9 → -30", -74, "39 dB in 20 ms, and the width goes with them"),
    Bound(r"equalizer: bands.*q: .* → 0.1", -71, "several times as wide within 20 ms", steps=False),
    Bound(r"equalizer: bands.*slope_db_oct", -67, "the sections that join ring up"),
)


def bound(name: str) -> Bound:
    return next((bound for bound in BOUNDS if re.match(bound.names, name)), Bound("", GOAL_DB, ""))


def all_cases() -> list[Case]:
    return [*structural_cases(), *parameter_cases()]


# ---- Structure -------------------------------------------------------------------------------------------------------


def chain(*path: str) -> tuple[AnyEdit, ...]:
    """Connections from node to node, at the ports `in` and `out`."""
    return tuple(Connect(source=f"{one}.out", target=f"{other}.in") for one, other in pairwise(path))


def unchained(*path: str) -> tuple[AnyEdit, ...]:
    return tuple(Disconnect(source=f"{one}.out", target=f"{other}.in") for one, other in pairwise(path))


def processors() -> dict[str, AddNode]:
    """One of each type that has an `in` and an `out`, as node `b`."""
    ends = {"in", "out"}
    return {
        name: AddNode(type=name, id="b", config=LIVELY.get(name, {}))
        for name, spec in sorted(catalogue().items())
        if ends <= {port.name for port in spec.ports}
    }


def structural_cases() -> Iterator[Case]:
    level = AddNode(type="gain", id="b", config={"gain_db": -3.0})
    more = AddNode(type="gain", id="c", config={"gain_db": -3.0})
    alone, through = chain("a", "z"), (level, *chain("a", "b", "z"))
    yield Case("connect", (level, *chain("a", "b")), chain("b", "z"))
    yield Case("connect one more", (level, *alone, *chain("a", "b")), chain("b", "z"))
    yield Case("disconnect", through, unchained("b", "z"))
    yield Case("disconnect one of two", (*alone, *through), unchained("b", "z"))
    yield Case("add a source", (), (AddNode(type="tone", id="b", config=SINE), *chain("b", "z")))
    yield Case("remove a source", alone, (RemoveNode(id="a"),))
    yield Case("mute a source by bypass", alone, (BypassNode(id="a", bypass=True),))
    yield Case("channels of a source: 2 → 1", alone, (ConfigureNode(id="a", config={"channels": 1}),))
    yield Case("channels of a source: 1 → 2", alone, (ConfigureNode(id="a", config={"channels": 2}),), {"channels": 1})
    for name, node in processors().items():
        fed = (node, *chain("a", "b", "z"))
        yield Case(f"insert: {name}", alone, (node, *unchained("a", "z"), *chain("a", "b", "z")))
        for strategy in get_args(Strategy):
            yield Case(f"remove, {strategy}: {name}", fed, (RemoveNode(id="b", strategy=strategy),))
        yield Case(f"bypass: {name}", fed, (BypassNode(id="b", bypass=True),))
        yield Case(
            f"bypass ends: {name}",
            (msgspec.structs.replace(node, bypass=True), *chain("a", "b", "z")),
            (BypassNode(id="b", bypass=False),),
        )
        yield Case(f"replace by its like: {name}", fed, (ReplaceNode(id="b", type=name, config=node.config),))
        yield Case(f"replace a gain: {name}", through, (ReplaceNode(id="b", type=name, config=node.config),))
        yield Case(
            f"change places with a gain: {name}",
            (node, more, *chain("a", "b", "c", "z")),
            (*unchained("a", "b", "c", "z"), *chain("a", "c", "b", "z")),
        )
        yield from key_cases(name, fed)


def key_cases(name: str, fed: tuple[AnyEdit, ...]) -> Iterator[Case]:
    """What else goes into a node of this type, beside the sound: a side chain, a control."""
    squeeze = AddNode(type="compressor", id="c", config=LIVELY["compressor"])
    for port in catalogue()[name].ports:
        if port.direction == "input" and port.name != "in":
            output = "out" if port.signal == "audio" else "gain_reduction_db"
            before = (*fed, squeeze, *chain("a", "c"))
            end = f"b.{port.name}"
            yield Case(f"connect: {name}.{port.name}", before, (Connect(source=f"c.{output}", target=end),))
            wired = (*before, Connect(source=f"c.{output}", target=end))
            yield Case(f"disconnect: {name}.{port.name}", wired, (Disconnect(source=f"c.{output}", target=end),))


# ---- Parameters ------------------------------------------------------------------------------------------------------


def parameter_cases() -> Iterator[Case]:
    """Each parameter from where it is to either end of its range, and to a place in between."""
    for name, spec in sorted(catalogue().items()):
        if spec.category != "sink":
            config = configured(name, LIVELY.get(name, {}) | (SINE if name == "tone" else {}))
            for parameter in spec.parameters:
                for told, value in _others(spec, parameter, config):
                    # a matrix of the old size would not fit
                    matrix = {p.name: None for p in spec.parameters if parameter.name in (p.rows, p.columns)}
                    yield _case(spec, config, f"{name}: {told}", {parameter.name: value, **matrix})


def _others(spec: NodeSpec, parameter: ParameterSpec, config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    now = config[parameter.name]
    if parameter.kind == "list":
        yield f"{parameter.name}: one less", now[:-1]
        yield f"{parameter.name}: one more", [*now, {}]
        for number, record in enumerate(now):
            for inner in parameter.fields:
                for told, value in _others(spec, inner, record):
                    yield f"{parameter.name}[{number}].{told}", {str(number): {inner.name: value}}
    elif parameter.kind == "matrix":
        width, height = config[parameter.columns], config[parameter.rows]
        yield f"{parameter.name}: off", [[None] * width] * height
        yield f"{parameter.name}: -20", [[-20.0] * width] * height
    else:
        for value in _values(spec, parameter):
            if value != now:
                yield f"{parameter.name}: {_spoken(now)} → {_spoken(value)}", value


def _values(spec: NodeSpec, parameter: ParameterSpec) -> list[Any]:
    if parameter.kind == "bool":
        return [False, True]
    if parameter.kind == "choice":
        return list(parameter.choices)
    if any(port.channels_parameter == parameter.name for port in spec.ports):
        return [1, 2]  # what an ear takes
    if parameter.kind not in ("int", "float"):
        return []
    low, high = parameter.minimum, parameter.maximum
    assert low is not None
    assert high is not None
    middle = (low * high) ** 0.5 if parameter.log_scale else (low + high) / 2
    return [round(value) if parameter.kind == "int" else float(value) for value in (low, middle, high)]


def _spoken(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _case(spec: NodeSpec, config: Mapping[str, Any], name: str, change: Mapping[str, Any]) -> Case:
    if spec.category == "source":  # it is the sound
        edits = (ConfigureNode(id="a", config=dict(change)),)
        return Case(name, chain("a", "z"), edits, {key: value for key, value in config.items() if key not in SINE})
    first = next(port for port in spec.ports if port.direction == "input")
    fed = [
        first.name.replace("#", str(number + 1)) for number in range(len(config[first.repeat]) if first.repeat else 1)
    ]
    node = AddNode(type=spec.type, id="b", config=dict(config))
    wires = (*(Connect(source="a.out", target=f"b.{port}") for port in fed), *chain("b", "z"))
    source = {"channels": 1} if first.rule == "connected" else {}  # what is placed says more than what is balanced
    left = len(change[first.repeat]) if isinstance(change.get(first.repeat), list) else len(fed)
    gone = [Disconnect(source="a.out", target=f"b.{port}") for port in fed[left:]]
    return Case(name, (node, *wires), (*gone, ConfigureNode(id="b", config=dict(change))), source)
