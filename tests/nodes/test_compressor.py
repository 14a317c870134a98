"""The compressor: static curve, times, detectors, look-ahead, side chain, the control output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.rig import RATE, Bench, Edit, Samples, decibels, impulse, level_db, noise, render, sine

FAST: dict[str, Any] = {"attack_ms": 0.0, "release_ms": 1.0}


def wanted_db(level: float, threshold: float, ratio: float, knee: float) -> float:
    """Gain reduction of the textbook's soft knee (Giannoulis, Massberg, Reiss 2012)."""
    above, slope = level - threshold, 1 / ratio - 1
    if 2 * above <= -knee:
        return 0.0
    if 2 * abs(above) < knee:
        return slope * (above + knee / 2) ** 2 / (2 * knee)
    return slope * above


def constant(level: float, frames: int = 24000, width: int = 1) -> Samples:
    return np.full((width, frames), 10 ** (level / 20), np.float32)


@pytest.mark.parametrize("detector", ["peak", "rms"])
@pytest.mark.parametrize(
    ("threshold", "ratio", "knee"), [(-20, 4, 6), (-20, 4, 0), (-40, 100, 24), (-10, 1.5, 12), (0, 2, 6), (-60, 20, 0)]
)
def test_static_curve(detector: str, threshold: float, ratio: float, knee: float) -> None:
    """Levels from -70 to 0 dBFS, every half dB; promised 0.1 dB, reached a thousandth."""
    config = {**FAST, "threshold_db": threshold, "ratio": ratio, "knee_db": knee, "detector": detector}
    levels = np.arange(-70, 0.1, 0.5)
    hold = 9600
    sound = np.concatenate([constant(level, hold) for level in levels], axis=1)
    outputs = render("compressor", config, {"in": sound})
    at_rest = np.arange(1, levels.size + 1) * hold - 1
    expected = np.array([wanted_db(level, threshold, ratio, knee) for level in levels])
    reduction = outputs["gain_reduction_db"][0, at_rest]
    assert np.abs(reduction - expected).max() < 0.005
    assert np.abs(decibels(outputs["out"][0, at_rest]) - levels - expected).max() < 0.005


@pytest.mark.parametrize(("detector", "sine_db"), [("rms", -3.01), ("peak", 0.0)])
@pytest.mark.parametrize("frequency", [100, 997, 7919])
def test_what_a_sine_counts(detector: str, sine_db: float, frequency: float) -> None:
    """An rms detector takes a sine for 3 dB less than its peak. A peak detector forgets a little until the next peak."""
    config = {"threshold_db": -30, "ratio": 4, "knee_db": 0, "detector": detector}
    reduction = render("compressor", config, {"in": sine(frequency, 48000, -6)})["gain_reduction_db"][0, -4800:]
    expected = wanted_db(-6 + sine_db, -30, 4, 0)
    allowed = 0.1 if frequency > 500 else 0.8
    assert np.abs(reduction - expected).max() < allowed


@pytest.mark.parametrize("attack_ms", [1.0, 10.0, 200.0])
def test_attack(attack_ms: float) -> None:
    """Down 63 % of the way, in dB, after the attack time."""
    config = {"attack_ms": attack_ms, "detector": "peak", "knee_db": 0, "threshold_db": -20, "ratio": 4}
    sound = np.concatenate([constant(-60, 4800), constant(0, 48000)], axis=1)
    reduction = render("compressor", config, {"in": sound})["gain_reduction_db"][0, 4800:]
    assert (reduction >= -15.001).all()
    reached = np.flatnonzero(reduction <= -15 * (1 - np.exp(-1)))[0] + 1
    assert reached == pytest.approx(attack_ms * RATE / 1000, abs=1.5)


@pytest.mark.parametrize("release_ms", [10.0, 100.0, 1000.0])
def test_release(release_ms: float) -> None:
    """Up 63 % of the way, once the detector has forgotten (its own 10 ms are what is tolerated)."""
    config = {"attack_ms": 0, "release_ms": release_ms, "detector": "rms", "knee_db": 0, "threshold_db": -20}
    sound = np.concatenate([constant(0, 48000), np.zeros((1, 96000), np.float32)], axis=1)
    reduction = render("compressor", config, {"in": sound})["gain_reduction_db"][0, 48000:]
    falling = np.flatnonzero(reduction > -15 * np.exp(-1))[0] - np.flatnonzero(reduction > -15 * 0.999)[0]
    expected = release_ms * RATE / 1000
    assert expected <= falling <= expected + 0.05 * RATE
    late = np.flatnonzero(reduction > -3)[0]
    assert reduction[late + round(expected / 4)] / reduction[late] == pytest.approx(np.exp(-0.25), rel=0.01)


@pytest.mark.parametrize("lookahead_ms", [0.0, 0.02, 1.0, 5.5, 20.0])
def test_look_ahead_delays_the_sound_and_not_the_gain(lookahead_ms: float) -> None:
    late = round(lookahead_ms * RATE / 1000)
    quiet = {"lookahead_ms": lookahead_ms, "ratio": 1.0}
    sound = noise(4096, 2)
    bench = Bench("compressor", quiet, {"in": sound})
    assert bench.node.latency == late
    bench.step(16)
    assert np.array_equal(bench.outputs["out"][:, late:4096], sound[:, : 4096 - late])
    assert not bench.outputs["out"][:, :late].any()
    loud = render(
        "compressor", {"lookahead_ms": lookahead_ms, **FAST, "detector": "peak"}, {"in": impulse(4096, at=2000)}
    )
    assert np.flatnonzero(loud["gain_reduction_db"][0] < -1)[0] == 2000
    assert np.flatnonzero(loud["out"][0])[0] == 2000 + late


def test_mix_delays_what_is_not_compressed_too() -> None:
    config = {"lookahead_ms": 5.0, "mix": 0.0, "makeup_db": 12.0, "threshold_db": -60.0}
    sound = noise(4096)
    assert np.array_equal(render("compressor", config, {"in": sound})["out"][:, 240:], sound[:, :-240])


def test_mix_and_makeup() -> None:
    config = {**FAST, "threshold_db": -20, "ratio": 4, "knee_db": 0, "makeup_db": 6.0, "mix": 0.25, "detector": "peak"}
    out = render("compressor", config, {"in": constant(0)})["out"][0, -1]
    assert out == pytest.approx(0.75 + 0.25 * 10 ** ((-15 + 6) / 20), rel=1e-4)


def test_all_channels_go_down_together() -> None:
    """The loudest decides, so that nothing wanders from side to side."""
    sound = noise(24000, 3, peak=1.0) * np.array([[0.9], [0.1], [0.01]], np.float32)
    config = {"threshold_db": -30, "attack_ms": 1}
    outputs = render("compressor", config, {"in": sound})
    gains = outputs["out"] / np.where(sound == 0, 1, sound)
    assert np.abs(decibels(gains[1:]) - decibels(gains[:1])).max() < 1e-4
    alone = render("compressor", config, {"in": sound[:1]})
    assert np.array_equal(alone["gain_reduction_db"], outputs["gain_reduction_db"])


def test_side_chain() -> None:
    """With it the key alone decides: a loud one ducks, a silent one lets pass."""
    sound, key = noise(24000, 2, peak=1.0), sine(300, 24000, 0.0)
    config = {"threshold_db": -30, "ratio": 10}
    ducked = render("compressor", config, {"in": sound, "sidechain": key})
    keyed = render("compressor", config, {"in": key})["gain_reduction_db"]
    assert np.array_equal(ducked["gain_reduction_db"], keyed)
    expected = sound * 10 ** (keyed.astype(np.float64) / 20)
    assert np.abs(ducked["out"] - expected).max() < 1e-6
    silent = render("compressor", config, {"in": sound, "sidechain": np.zeros((1, 24000), np.float32)})
    assert np.array_equal(silent["out"], sound)


def test_gain_reduction_can_drive_a_gain() -> None:
    """The control output through the gain's control input makes the same sound as the compressor itself."""
    sound = noise(24000, 2, peak=1.0)
    outputs = render("compressor", {"threshold_db": -40}, {"in": sound})
    driven = render("gain", {}, {"in": sound, "gain_db": outputs["gain_reduction_db"]})["out"]
    assert np.array_equal(driven, outputs["out"])


def test_long_releases_come_to_their_end() -> None:
    """A release of 5 s moves the gain by less per frame than a float can say; it has to arrive all the same."""
    config = {**FAST, "release_ms": 5000.0, "threshold_db": -60, "ratio": 100, "knee_db": 0, "detector": "peak"}
    sound = np.concatenate([constant(0, 4800), constant(-6, 30 * RATE)], axis=1)
    reduction = render("compressor", config, {"in": sound}, block=2048)["gain_reduction_db"][0, -1]
    assert reduction == pytest.approx(wanted_db(-6, -60, 100, 0), abs=0.02)


def test_another_look_ahead_goes_on_where_it_was() -> None:
    sound = sine(997, 48000, -6)
    config = {"threshold_db": -30, "release_ms": 500}
    outputs = render(
        "compressor", {**config, "lookahead_ms": 10.0}, {"in": sound}, edits=[Edit(24064, {"lookahead_ms": 5.0})]
    )
    plain = render("compressor", config, {"in": sound})
    assert np.array_equal(outputs["gain_reduction_db"], plain["gain_reduction_db"])
    held = sound[:, 24064 - 240 : 24064]  # the newest 5 ms of what the longer line held
    gains = 10 ** (plain["gain_reduction_db"][:, 24064 : 24064 + 240] / 20)
    assert np.abs(outputs["out"][:, 24064 : 24064 + 240] - held * gains).max() < 1e-6


def test_loudness_evens_out() -> None:
    """What it is for: 40 dB of difference coming in, 10 dB going out at 4:1."""
    config = {"threshold_db": -60, "ratio": 4, "attack_ms": 5, "release_ms": 20}
    loud, soft = (
        render("compressor", config, {"in": sine(997, 24000, level)})["out"][:, -4800:] for level in (-3, -43)
    )
    assert level_db(loud) - level_db(soft) == pytest.approx(10.0, abs=0.1)
