"""What holds for every node type of the core, whatever it does. A new file in csrc/nodes is tested by being there.

The same is tried at random, with cuts at any frame, by csrc/tests/test_node_types.c; here it is the core as it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.rig import Bench, Edit, Samples, catalogue, configured, impulse, noise, render
from tonnetz.daemon.graph.ports import ports
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec

FRAMES = 4800  # a multiple of 1, 16, 64, 100: blocks of those cut it evenly; the others go over its end
BLOCKS = [1, 16, 64, 100, 256, 2048]
TYPES = sorted(name for name, spec in catalogue().items() if spec.category != "sink")
SOUNDS = {
    "noise": noise(FRAMES, 2, peak=1.0),
    "impulse": impulse(FRAMES, 2, at=100),
    "full scale": np.ones((2, FRAMES), np.float32),
    "silence": np.zeros((2, FRAMES), np.float32),
}


def extreme(parameter: ParameterSpec, end: str) -> Any:
    match parameter.kind:
        case "bool":
            return end == "maximum"
        case "choice":
            return parameter.choices[-1 if end == "maximum" else 0]
        case "list":
            return [{field.name: extreme(field, end) for field in parameter.fields}] * len(parameter.default)
        case "matrix":
            return None
        case _:
            return parameter.maximum if end == "maximum" else parameter.minimum


def extremes(spec: NodeSpec, end: str) -> dict[str, Any]:
    """Every parameter at one end of its range; channels stay few, for 64 of them test nothing more."""
    return {
        parameter.name: parameter.default if "channels" in parameter.name else extreme(parameter, end)
        for parameter in spec.parameters
    }


def configurations(node_type: str) -> dict[str, dict[str, Any]]:
    spec = catalogue()[node_type]
    return {"defaults": {}, "minima": extremes(spec, "minimum"), "maxima": extremes(spec, "maximum")}


def live(node_type: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a configuration can change in a running node."""
    spec = catalogue()[node_type]
    return {p.name: config[p.name] for p in spec.parameters if not p.structure and p.name in config}


def fed(node_type: str, sound: Samples) -> dict[str, Samples]:
    """The same sound for every audio input."""
    inputs = ports(catalogue()[node_type], configured(node_type, {})).inputs
    return {name: sound for name, port in inputs.items() if port.signal == "audio"}


def same(one: Mapping[str, Samples], other: Mapping[str, Samples]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(one[port].tobytes() == other[port].tobytes() for port in one)


def test_there_are_types() -> None:
    assert set(TYPES) >= {"tone", "gain", "mixer", "equalizer", "compressor", "channel_map", "delay"}


@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("node_type", TYPES)
def test_output_is_finite(node_type: str, sound: str) -> None:
    for config in configurations(node_type).values():
        outputs = render(node_type, config, fed(node_type, SOUNDS[sound]), FRAMES)
        assert all(np.isfinite(output).all() for output in outputs.values())


@pytest.mark.parametrize("node_type", TYPES)
def test_the_block_size_changes_no_bit(node_type: str) -> None:
    inputs = fed(node_type, SOUNDS["noise"])
    for config in configurations(node_type).values():
        reference = render(node_type, config, inputs, FRAMES, block=256)
        for block in BLOCKS:
            assert same(render(node_type, config, inputs, FRAMES, block=block), reference), f"blocks of {block}"


@pytest.mark.parametrize("node_type", TYPES)
def test_the_block_size_changes_no_bit_of_an_edit(node_type: str) -> None:
    inputs = fed(node_type, SOUNDS["noise"])
    configs = configurations(node_type)
    edits = [
        Edit(800, live(node_type, configs["maxima"])),
        Edit(1600, live(node_type, configs["minima"])),  # in the midst of the glide before
        Edit(2400, live(node_type, configs["maxima"]), ramp_frames=0),
        Edit(3200, live(node_type, configs["minima"]), ramp_frames=123),
    ]
    rendered = [render(node_type, {}, inputs, FRAMES, block=block, edits=edits) for block in (1, 16, 100, 800)]
    assert all(np.isfinite(output).all() for output in rendered[0].values())
    assert all(same(other, rendered[0]) for other in rendered[1:])


@pytest.mark.parametrize("node_type", TYPES)
def test_an_edit_that_changes_nothing_changes_no_bit(node_type: str) -> None:
    """Not even while it glides from where it is to where it is, on another way through the code."""
    inputs = fed(node_type, SOUNDS["noise"])
    plain = render(node_type, {}, inputs, FRAMES)
    assert same(render(node_type, {}, inputs, FRAMES, edits=[Edit(1024, {}), Edit(2048, {}, 5)]), plain)


OVERLOADED = {
    "equalizer": {"gain_db": 30.0},
    "compressor": {"makeup_db": 24.0},
    "delay": {"time_ms": 1.0, "feedback": 0.99},
}


@pytest.mark.parametrize("node_type", OVERLOADED)
def test_after_a_reset_it_is_as_new(node_type: str) -> None:
    """The core resets a node that comes out with what no sound is. (For all types: csrc/tests/test_node_types.c.)"""
    block = 16
    sound = SOUNDS["noise"].copy()
    sound[:, [1000, 1048]] = 1.5e19  # just what the core lets a source say; the node makes more of it
    bench = Bench(node_type, OVERLOADED[node_type], fed(node_type, sound), block=block)
    end = 0  # of the last block that was muted
    for done in range(block, FRAMES + 1, block):
        faults = bench.node.faults
        bench.step(1)
        if bench.node.faults > faults:
            end = done
    assert 1000 < end < 1200
    assert not any(output[:, end - block : end].any() for output in bench.outputs.values())
    fresh = render(node_type, OVERLOADED[node_type], fed(node_type, sound[:, end:]), block=block)
    assert same({name: output[:, end:FRAMES] for name, output in bench.outputs.items()}, fresh)


@pytest.mark.parametrize("end", ["defaults", "minima", "maxima"])
@pytest.mark.parametrize("node_type", TYPES)
def test_a_new_node_with_its_saved_state_goes_on_bit_for_bit(node_type: str, end: str) -> None:
    """After a glide that has arrived: the fresh node was made at its settings."""
    config = configurations(node_type)[end]
    inputs = fed(node_type, SOUNDS["noise"])
    played = Bench(node_type, {}, inputs, block=16, room=FRAMES)
    played.edit(config, 100)
    played.step(120)
    state = played.state()
    played.forget()
    played.step(180)
    rest = {name: sound[:, 120 * 16 :] for name, sound in inputs.items()}
    fresh = Bench(node_type, config, rest, block=16, room=FRAMES, state=state)
    assert fresh.state() == state
    fresh.step(180)
    assert same(fresh.outputs, played.outputs)


def test_some_types_remember() -> None:
    """Where a fresh node without the state went on alike, the test above would find nothing."""
    for node_type, config in {
        "delay": {"time_ms": 10.0},
        "equalizer": {"bands": [{"gain_db": 6.0}]},
        "tone": {"frequency": 1001.0},
    }.items():
        inputs = fed(node_type, SOUNDS["noise"])
        played = Bench(node_type, config, inputs, block=16, room=FRAMES)
        played.step(120)
        state = played.state()
        played.forget()
        played.step(30)
        rest = {name: sound[:, 120 * 16 :] for name, sound in inputs.items()}
        with_it, without = (
            Bench(node_type, config, rest, block=16, room=FRAMES, state=given) for given in (state, None)
        )
        with_it.step(30)
        without.step(30)
        assert same(with_it.outputs, played.outputs) and not same(without.outputs, played.outputs)


@pytest.mark.parametrize("node_type", TYPES)
def test_it_says_what_it_is(node_type: str) -> None:
    spec = catalogue()[node_type]
    fields = [field for parameter in spec.parameters for field in (parameter, *parameter.fields)]
    assert spec.help.endswith(".") and all(part.help.endswith(".") for part in [*fields, *spec.ports])
    for field in fields:
        assert field.unit in {"", "Hz", "dB", "dBFS", "ms", "s", "%"}
        for suffix, units in {"_ms": {"ms"}, "_s": {"s"}, "_db": {"dB", "dBFS"}}.items():
            assert not field.name.endswith(suffix) or field.kind == "list" or field.unit in units, field.name
        if field.kind in {"float", "int"}:
            assert field.minimum <= field.default <= field.maximum
    assert configured(node_type, {}) == configured(node_type, configured(node_type, {}))
