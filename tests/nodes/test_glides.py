"""No change of a parameter clicks: what an edit adds to a sine, away from the sine.

Two measures, both of all that is farther than 500 Hz from a 997 Hz sine at -6 dBFS, two seconds of it with the edit in the
middle: the loudest component, and the highest peak of all components together, which is what a click is heard by. The
limits are what is reached, rounded up by some dB; figures with -s. Done at once, the same edits must be found.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.rig import Edit, render, sine, splash_db

FREQUENCY = 997.0
AT = 48128  # a multiple of the block
SOUND = sine(FREQUENCY, 96000, -6.0)


def band(**fields: Any) -> dict[str, Any]:
    return {"bands": [fields]}


# name: type, before, after, limit of a component, of the peak (dBFS)
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], float, float]] = {
    "gain down": ("gain", {}, {"gain_db": -6.0}, -100, -55),
    "mute": ("gain", {}, {"mute": True}, -95, -50),
    "pan": ("mixer", {"inputs": [{}]}, {"inputs": [{"pan": 1.0}]}, -100, -55),
    "matrix": ("channel_map", {"in_channels": 1}, {"matrix_db": [[-6.0], [0.0]]}, -100, -55),
    "peak to another frequency": (
        "equalizer",
        band(frequency=500, gain_db=12, q=1),
        band(frequency=2000, gain_db=12, q=1),
        -90,
        -60,
    ),
    "peak up": ("equalizer", band(gain_db=-12, q=1), band(gain_db=12, q=1), -100, -60),
    "narrower": ("equalizer", band(gain_db=12, q=0.5, frequency=800), band(gain_db=12, q=10, frequency=800), -100, -60),
    "low-pass down": (
        "equalizer",
        band(type="low_pass", frequency=4000),
        band(type="low_pass", frequency=500),
        -105,
        -70,
    ),
    "another kind": ("equalizer", band(type="low_pass"), band(type="high_pass"), -105, -70),
    "steeper": ("equalizer", band(type="high_pass"), band(type="high_pass", slope_db_oct=48), -100, -65),
    "gentler": ("equalizer", band(type="high_pass", slope_db_oct=48), band(type="high_pass"), -100, -65),
    "band on": (
        "equalizer",
        band(gain_db=12, frequency=100, enabled=False),
        band(gain_db=12, frequency=100),
        -105,
        -80,
    ),
    "delay by half a period more": ("delay", {"time_ms": 10.0}, {"time_ms": 20.5}, -95, -60),
    "delay with echoes": ("delay", {"time_ms": 10, "feedback": 0.5, "mix": 0.5}, {"time_ms": 20.5}, -95, -60),
    "echo off": ("delay", {"time_ms": 10.5}, {"mix": 0.0}, -85, -45),
    "threshold": ("compressor", {}, {"threshold_db": -40.0}, -105, -80),
    "threshold without attack": ("compressor", {"attack_ms": 0, "knee_db": 0}, {"threshold_db": -40.0}, -95, -50),
    "makeup": ("compressor", {}, {"makeup_db": 10.0}, -95, -50),
    "detector": ("compressor", {}, {"detector": "peak"}, -100, -80),
}
# What moves 48 dB or sweeps a resonance across the sine within 20 ms is modulation, however smooth: less is promised.
VIOLENT = {
    "steep low-pass down": (
        "equalizer",
        band(type="low_pass", frequency=4000, slope_db_oct=48),
        band(type="low_pass", frequency=500, slope_db_oct=48),
        -70,
        -45,
    ),
    "narrow peak over two decades": (
        "equalizer",
        band(frequency=100, gain_db=12, q=4),
        band(frequency=10000, gain_db=12, q=4),
        -50,
        -5,
    ),
}


def splash(
    node_type: str, before: dict[str, Any], after: dict[str, Any], ramp_frames: int | None
) -> tuple[float, float]:
    inputs = {"in_1" if node_type == "mixer" else "in": SOUND}
    out = render(node_type, before, inputs, edits=[Edit(AT, after, ramp_frames)])["out"]
    return splash_db(out[:1], FREQUENCY)


@pytest.mark.parametrize("name", CASES | VIOLENT)
def test_an_edit_does_not_click(name: str) -> None:
    node_type, before, after, component_limit, peak_limit = (CASES | VIOLENT)[name]
    component, peak = splash(node_type, before, after, None)
    print(f"{node_type}, {name}: component {component:.1f}, peak {peak:.1f} dBFS")  # noqa: T201
    assert component < component_limit
    assert peak < peak_limit
    assert component < -80 or name in VIOLENT


@pytest.mark.parametrize("name", ["gain down", "peak to another frequency", "delay by half a period more"])
def test_the_measure_finds_a_click(name: str) -> None:
    node_type, before, after, component_limit, peak_limit = CASES[name]
    component, peak = splash(node_type, before, after, 0)
    assert component > component_limit + 10
    assert peak > peak_limit + 30


def test_the_measure_finds_nothing_in_a_sine() -> None:
    component, peak = splash_db(SOUND, FREQUENCY)
    assert component < -150
    assert peak < -110


def test_no_zipper() -> None:
    """A knob that is dragged, one edit after the other before the last has arrived, sounds like a hand and not like stairs."""
    edits = [Edit(AT + 512 * n, band(gain_db=12, frequency=500 + 10.0 * n)) for n in range(60)]
    out = render("equalizer", band(gain_db=12, frequency=500), {"in": SOUND}, edits=edits)["out"]
    component, _ = splash_db(out, FREQUENCY)
    assert component < -95
