"""A small catalogue with one of everything: every kind of parameter, every channel rule, every signal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
import yaml

from tonnetz.daemon.graph.edits import AddNode, Connect
from tonnetz.daemon.graph.model import Graph
from tonnetz.daemon.graph.spec import Catalogue, NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.graph.transaction import apply_edits


def number(name: str, default: float, low: float, high: float, unit: str = "", **more: Any) -> ParameterSpec:
    return ParameterSpec(
        name=name, kind="float", help=f"The {name}.", unit=unit, default=default, minimum=low, maximum=high, **more
    )


def switch(name: str) -> ParameterSpec:
    return ParameterSpec(name=name, kind="bool", help=f"Whether to {name}.", default=False)


def count(name: str, default: int = 2, high: int = 64) -> ParameterSpec:
    return ParameterSpec(
        name=name, kind="int", help="How many.", default=default, minimum=1, maximum=high, structure=True
    )


def text(name: str, default: str | None, **more: Any) -> ParameterSpec:
    return ParameterSpec(name=name, kind="text", help=f"The {name}.", default=default, core=False, **more)


def choice(name: str, *choices: str, **more: Any) -> ParameterSpec:
    return ParameterSpec(name=name, kind="choice", help="Which.", default=choices[0], choices=choices, **more)


def into(name: str = "in", **more: Any) -> PortSpec:
    return PortSpec(name=name, direction="input", help="What comes in.", **more)


def out(name: str = "out", **more: Any) -> PortSpec:
    return PortSpec(name=name, direction="output", help="What goes out.", **more)


def node_type(
    name: str,
    category: Literal["source", "processor", "sink"],
    parameters: list[ParameterSpec],
    *ports: PortSpec,
) -> NodeSpec:
    return NodeSpec(
        type=name, category=category, help=f"A {name}.", parameters=tuple(parameters), ports=ports, core_type=name
    )


def own_channels(**more: Any) -> dict[str, Any]:
    return {"rule": "parameter", "channels_parameter": "channels", **more}


GAIN_DB = number("gain_db", 0.0, -120, 24, "dB")
BANDS = ParameterSpec(
    name="bands",
    kind="list",
    help="The bands, from first to last.",
    default=[{"frequency": 100}, {"frequency": 1000}, {"frequency": 10000}],
    count_minimum=1,
    count_maximum=32,
    fields=(
        choice("type", "peaking", "low_shelf", "high_shelf"),
        number("frequency", 1000.0, 10, 24000, "Hz", log_scale=True),
        number("gain_db", 0.0, -30, 30, "dB"),
        number("q", 0.707, 0.1, 40),
        ParameterSpec(name="enabled", kind="bool", help="Whether it works.", default=True),
    ),
)
INPUTS = ParameterSpec(
    name="inputs",
    kind="list",
    help="The inputs.",
    default=[{}, {}, {}, {}],
    count_minimum=1,
    count_maximum=128,
    fields=(number("gain_db", 0.0, -120, 12, "dB"), number("pan", 0.0, -1, 1), switch("mute")),
)
MATRIX = ParameterSpec(
    name="matrix_db", kind="matrix", help="Levels.", unit="dB", minimum=-120, maximum=12,
    rows="out_channels", columns="in_channels",
)  # fmt: skip

SPECS = [
    node_type(
        "tone",
        "source",
        [
            choice("wave", "sine", "square", "white"),
            number("frequency", 440.0, 0.1, 24000, "Hz", log_scale=True),
            number("level_db", -20.0, -120, 0, "dBFS", step=0.5),
            count("channels"),
            ParameterSpec(name="seed", kind="int", help="Of the noise.", default=1, structure=True),
        ],
        out(**own_channels()),
    ),
    node_type("gain", "processor", [GAIN_DB, switch("mute")], into(), out()),
    node_type(
        "mixer", "processor", [INPUTS, GAIN_DB], into("in_#", rule="connected", repeat="inputs"),
        out(rule="widest", channels=2),
    ),
    node_type("equalizer", "processor", [BANDS, GAIN_DB], into(), out()),
    node_type(
        "compressor",
        "processor",
        [number("threshold_db", -20.0, -60, 0, "dBFS"), choice("detector", "peak", "rms")],
        into(),
        into("sidechain", rule="connected", deciding=True),
        out(),
        out("gain_reduction_db", signal="control", rule="fixed", channels=1),
    ),
    node_type(
        "channel_map", "processor", [count("in_channels"), count("out_channels"), MATRIX],
        into(rule="parameter", channels_parameter="in_channels"),
        out(rule="parameter", channels_parameter="out_channels"),
    ),
    node_type("lfo", "source", [number("frequency", 1.0, 0.01, 100, "Hz")], out(signal="control")),
    node_type("tremolo", "processor", [], into(), into("depth", signal="control", optional=True), out()),
    node_type("shaper", "processor", [], into(signal="control"), out(signal="control")),
    node_type("keys", "source", [], out(signal="midi")),
    node_type("synth", "source", [], into("notes", signal="midi"), out(rule="fixed", channels=1)),
    node_type("null_output", "sink", [], into()),
    node_type("stereo_output", "sink", [], into(rule="fixed", channels=2)),
    node_type(
        "caster",
        "sink",
        [
            text("host", None),
            text("mount", "/live", maximum=20),
            text("password", "", secret=True),
            number("fade_s", 0.0, 0, 60, "s", core=False),
            ParameterSpec(
                name="stop_s", kind="float", help="When to stop; null is never.", unit="s", minimum=0, optional=True,
                core=False,
            ),
            choice("codec", "mp3", "opus", optional=True, core=False),
            count("channels"),
        ],
        into(**own_channels()),
    ),
]  # fmt: skip
CATALOGUE: Catalogue = {spec.type: spec for spec in SPECS}


def cases(name: str) -> list[Any]:
    """The cases of a file beside this one, each named after what it is about."""
    text = (Path(__file__).parent / name).read_text(encoding="utf-8")
    return [pytest.param(case, id=f"{case['where']}-{case['says'][:40]}") for case in yaml.safe_load(text)]


def built(*edits: Any) -> Graph:
    """A graph: `("voice", "tone", {"channels": 1})` adds a node, `"voice.out > desk.in_1"` connects."""
    made = []
    for edit in edits:
        if isinstance(edit, str):
            source, _, target = edit.partition(" > ")
            made.append(Connect(source=source, target=target))
        else:
            node_id, kind, *config = edit
            made.append(AddNode(id=node_id, type=kind, config=config[0] if config else {}))
    return apply_edits(Graph(), made, CATALOGUE).graph
