"""No edit clicks: what each adds to a 997 Hz sine, more than 500 Hz away from it, stays below -80 dBFS; and with pink noise no sample
is farther from the one before than noise and fade together explain. `./dev bench` prints the figures.

Where the sound itself becomes louder than full scale the limit rises with it. Fewer promises are made below, and why.
"""

from __future__ import annotations

import numpy as np
import pytest

from tonnetz.daemon.graph.edits import ConfigureNode

from ..rig import RATE, catalogue
from .click import AFTER, BEFORE, FREQUENCY, GOAL_DB, LEAD, LEVEL_DB, Case, energy, outside, residual, steps
from .click_cases import all_cases, bound, chain, parameter_cases

CASES = {case.name: case for case in all_cases()}
PHASES = (0,)  # the bench tries more


@pytest.mark.parametrize("name", CASES)
def test_an_edit_is_not_heard_beside_the_sine(name: str) -> None:
    found = residual(CASES[name], PHASES)
    assert found.db < bound(name).db + found.over_db


@pytest.mark.parametrize("name", [name for name in CASES if bound(name).steps])
def test_no_sample_is_farther_away_than_noise_and_fade_explain(name: str) -> None:
    step, allowed = steps(CASES[name])
    assert step < allowed


def test_every_parameter_is_tried() -> None:
    """Whatever a new node type has: its record says so, and here it is."""
    told = [case.name for case in parameter_cases()]
    for name, spec in catalogue().items():
        for parameter in spec.parameters if spec.category != "sink" else ():
            fields = [f"{parameter.name}[0].{part.name}" for part in parameter.fields]
            for wanted in [parameter.name, *fields]:
                assert any(case.startswith(f"{name}: {wanted}:") for case in told), f"{name}: {wanted}"


def test_the_measure_finds_nothing_in_a_sine() -> None:
    nothing = Case("nothing", chain("a", "z"), (ConfigureNode(id="a", config={}),))
    assert residual(nothing, PHASES).db < -140


@pytest.mark.parametrize("name", ["connect", "disconnect", "gain: mute: False → True", "bypass: equalizer"])
def test_the_measure_finds_what_is_cut(name: str) -> None:
    assert residual(CASES[name], PHASES, fade_ms=0.0).db > GOAL_DB + 30


def test_the_measure_finds_a_step() -> None:
    step, allowed = steps(CASES["remove, fade: delay"], fade_ms=0.0)
    assert step > 1.2 * allowed


@pytest.mark.parametrize("level_db", [-60.0, -100.0])
@pytest.mark.parametrize("frequency", [300.0, 1_500.0, 12_000.0])
def test_the_measure_is_right(frequency: float, level_db: float) -> None:
    """Another sine beside the one that is looked past."""
    time = np.arange(BEFORE + AFTER) / RATE
    tone, other = (
        10 ** (db / 20) * np.sin(2 * np.pi * f * time) for f, db in ((FREQUENCY, LEVEL_DB), (frequency, level_db))
    )
    found = 10 * np.log10(energy(outside(tone + other), BEFORE - LEAD))
    assert found == pytest.approx(level_db, abs=0.2)
