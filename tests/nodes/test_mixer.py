"""The mixer against a few lines of numpy: levels, the pan laws, balance, mute, solo, width."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.rig import Edit, Samples, decibels, gently, noise, render

FRAMES = 2048


def pan(place: float, law_db: float) -> float:
    """The gain of a mono sound on the side towards which it has gone `place` (0 … 1) of the way."""
    named = {
        20 * math.log10(0.5): place,
        20 * math.log10(math.sqrt(0.5)): math.sin(place * math.pi / 2),
        0.0: min(1.0, 2 * place),
    }
    (low, lower), (high, upper) = sorted(named.items())[slice(0, 2) if law_db < -3.0103 else slice(1, 3)]
    share = (law_db - low) / (high - low)
    return lower ** (1 - share) * upper**share if lower > 0 else 0.0


def mixed(inputs: Mapping[str, Samples], config: Mapping[str, Any]) -> NDArray[np.float64]:
    strips = [{"gain_db": 0.0, "pan": 0.0, "mute": False, "solo": False, **strip} for strip in config["inputs"]]
    law, master = config.get("pan_law_db", -3.0), config.get("gain_db", 0.0)
    total = np.zeros((max([2, *map(len, inputs.values())]), FRAMES))
    for number, strip in enumerate(strips, start=1):
        if f"in_{number}" not in inputs or strip["mute"] or (any(s["solo"] for s in strips) and not strip["solo"]):
            continue
        sound = inputs[f"in_{number}"].astype(np.float64) * 10 ** ((strip["gain_db"] + master) / 20)
        to_left, to_right = (1 - strip["pan"]) / 2, (1 + strip["pan"]) / 2
        if len(sound) == 1:
            total[:2] += sound * np.array([[pan(to_left, law)], [pan(to_right, law)]])
        elif len(sound) == 2:
            total[:2] += sound * np.array([[min(1.0, 2 * to_left)], [min(1.0, 2 * to_right)]])
        else:
            total[: len(sound)] += sound
    return total


def test_levels_pans_and_widths() -> None:
    inputs = {f"in_{n}": noise(FRAMES, width, seed=n) for n, width in enumerate([1, 2, 4, 1, 2, 1], start=1)}
    del inputs["in_5"]  # not connected
    strips = [{"gain_db": -n, "pan": 0.3 * n - 1, "mute": n == 4} for n in range(6)]
    config = {"inputs": strips, "gain_db": -2.0}
    out = render("mixer", config, inputs)["out"]
    assert out.shape == (4, FRAMES)
    assert np.abs(out - mixed(inputs, config)).max() < 1e-6


@pytest.mark.parametrize("law_db", [0.0, -1.5, -3.0, -4.5, -6.0])
def test_pan_laws(law_db: float) -> None:
    one = np.ones((1, FRAMES), np.float32)
    for place in np.linspace(-1, 1, 17):
        config = {"inputs": [{"pan": float(place)}], "pan_law_db": law_db}
        out = render("mixer", config, {"in_1": one})["out"]
        assert np.abs(out[:, -1] - mixed({"in_1": one}, config)[:, -1]).max() < 1e-6
    centre = render("mixer", {"inputs": [{}], "pan_law_db": law_db}, {"in_1": one})["out"]
    assert decibels(centre[:, 0]) == pytest.approx([law_db, law_db], abs=1e-4)
    right = render("mixer", {"inputs": [{"pan": 1.0}], "pan_law_db": law_db}, {"in_1": one})["out"]
    assert right[:, 0].tolist() == [0.0, 1.0]


def test_constant_power() -> None:
    one = np.ones((1, 256), np.float32)
    for place in np.linspace(-1, 1, 9):
        config = {"inputs": [{"pan": float(place)}], "pan_law_db": -3.0}
        out = render("mixer", config, {"in_1": one})["out"][:, 0]
        assert 10 * np.log10((out.astype(np.float64) ** 2).sum()) == pytest.approx(0.0, abs=0.011)  # -3 is not -3.0103


def test_solo_and_mute() -> None:
    inputs = {f"in_{n}": noise(FRAMES, 2, seed=n) for n in (1, 2, 3)}
    out = render("mixer", {"inputs": [{}, {"solo": True}, {}]}, inputs)["out"]
    assert np.array_equal(out, inputs["in_2"])
    muted = render("mixer", {"inputs": [{}, {"solo": True, "mute": True}, {}]}, inputs)["out"]
    assert not muted.any(), "mute is stronger, and the solo still silences the others"


def test_a_silent_input_more_changes_no_bit() -> None:
    """Sums are made in the order of the inputs, however many there are."""
    inputs = {f"in_{n}": noise(FRAMES, 2, seed=n) for n in range(1, 12)}
    more = {**inputs, "in_12": np.zeros((2, FRAMES), np.float32)}
    strips = [{"gain_db": -0.7 * n, "pan": 0.1 * n - 0.5} for n in range(12)]
    plain = render("mixer", {"inputs": strips[:11]}, inputs)["out"]
    assert np.array_equal(plain, render("mixer", {"inputs": strips}, inputs)["out"])
    assert np.array_equal(plain, render("mixer", {"inputs": strips}, more)["out"])


def test_a_solo_glides() -> None:
    ones = {f"in_{n}": np.full((2, FRAMES), 0.25, np.float32) for n in (1, 2, 3)}
    edits = [Edit(256, {"inputs": [{}, {"solo": True}, {}]}), Edit(512, {"inputs": [{}, {}, {}]})]
    out = render("mixer", {"inputs": [{}, {}, {}]}, ones, edits=edits)["out"][0]
    assert out[0] == 0.75 and out[-1] == 0.75
    # The middle of a gentle glide is half as steep again as a straight one.
    assert np.abs(np.diff(out)).max() <= 1.5 * 1.01 * 0.5 / 960
    assert out.min() == pytest.approx(0.75 - 0.5 * gently(256 / 960), abs=1e-6)


def test_nothing_connected_is_silence() -> None:
    assert not render("mixer", {}, {}, FRAMES)["out"].any()
