"""The delay: exact places, echoes, and times that change."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rig import RATE, Edit, impulse, noise, render, sine

FRAMES = 24000
SOUND = noise(FRAMES, 2)


@pytest.mark.parametrize("frames", [0, 1, 2, 15, 63, 64, 65, 256, 1000, 9600])
def test_sound_comes_so_many_frames_later(frames: int) -> None:
    out = render("delay", {"time_ms": frames * 1000 / RATE}, {"in": SOUND})["out"]
    assert np.array_equal(out[:, frames:], SOUND[:, : FRAMES - frames])
    assert not out[:, :frames].any()


@pytest.mark.parametrize(("time_ms", "frames"), [(0.0104, 0), (0.0105, 1), (10.01, 480), (10.02, 481)])
def test_times_are_rounded_to_frames(time_ms: float, frames: int) -> None:
    out = render("delay", {"time_ms": time_ms}, {"in": impulse(1024)})["out"]
    assert np.flatnonzero(out[0]).tolist() == [frames]


def test_a_time_beyond_the_longest_is_the_longest() -> None:
    out = render("delay", {"time_ms": 500, "max_ms": 100}, {"in": impulse(FRAMES)})["out"]
    assert np.flatnonzero(out[0]).tolist() == [4800]


@pytest.mark.parametrize("frames", [1, 48, 700])
def test_echoes_are_a_geometric_series(frames: int) -> None:
    config = {"time_ms": frames * 1000 / RATE, "feedback": 0.5, "mix": 0.5}
    out = render("delay", config, {"in": impulse(8192)})["out"][0]
    expected = np.zeros(8192, np.float32)
    echoes = np.arange(1, -(-8192 // frames))
    expected[echoes * frames] = 0.5 * 0.5 ** (np.minimum(echoes, 120) - 1.0)
    expected[0] = 0.5
    assert np.abs(out - expected).max() < 1e-30  # halves are exact, until they are too small for the core to keep


def test_without_time_feedback_does_nothing() -> None:
    out = render("delay", {"time_ms": 0.0, "feedback": 0.99}, {"in": SOUND})["out"]
    assert np.array_equal(out, SOUND)


def test_a_new_time_cross_fades() -> None:
    """Over 20 ms, from the sound as it would have gone on to the sound as if it had always been so."""
    at, length = 12032, RATE * 20 // 1000
    old, new = (render("delay", {"time_ms": time}, {"in": SOUND})["out"] for time in (50, 125))
    out = render("delay", {"time_ms": 50}, {"in": SOUND}, edits=[Edit(at, {"time_ms": 125})])["out"]
    assert np.array_equal(out[:, :at], old[:, :at])
    assert np.array_equal(out[:, at + length :], new[:, at + length :])
    left = 1 - np.arange(1, length + 1) / length
    share = left * left * (3 - 2 * left)
    faded = new[:, at : at + length] + (old - new)[:, at : at + length] * share
    assert np.abs(out[:, at : at + length] - faded).max() < 1e-6


def test_a_wish_during_a_cross_fade_waits_for_its_end() -> None:
    edits = [Edit(4096, {"time_ms": 100}), Edit(4352, {"time_ms": 30}), Edit(4608, {"time_ms": 70})]
    out = render("delay", {"time_ms": 10}, {"in": SOUND}, edits=edits)["out"]
    second = 4096 + 960  # the first fade's end; of the wishes the newest counts
    one_hundred, seventy = (render("delay", {"time_ms": time}, {"in": SOUND})["out"] for time in (100, 70))
    assert np.array_equal(out[:, second - 1], one_hundred[:, second - 1])
    assert not np.array_equal(out[:, second + 10], one_hundred[:, second + 10])
    assert np.array_equal(out[:, second + 960 :], seventy[:, second + 960 :])


def test_a_wish_hurries_a_long_cross_fade() -> None:
    edits = [Edit(4096, {"time_ms": 100}, 480000), Edit(4352, {"time_ms": 70})]
    out = render("delay", {"time_ms": 10}, {"in": SOUND}, edits=edits)["out"]
    seventy = render("delay", {"time_ms": 70}, {"in": SOUND})["out"]
    end = 4352 + 960 + 960
    assert np.array_equal(out[:, end:], seventy[:, end:])
    tone = sine(997, FRAMES, -6)
    steps = np.abs(np.diff(render("delay", {"time_ms": 10}, {"in": tone}, edits=edits)["out"][0, 1000:]))
    assert steps.max() < 1.2 * np.abs(np.diff(tone[0])).max(), "no jump where it was hurried"


def test_a_longer_line_keeps_the_sound() -> None:
    edited = render(
        "delay", {"time_ms": 100, "max_ms": 150, "feedback": 0.5}, {"in": SOUND}, edits=[Edit(12032, {"max_ms": 300})]
    )
    plain = render("delay", {"time_ms": 100, "max_ms": 150, "feedback": 0.5}, {"in": SOUND})
    assert np.array_equal(edited["out"], plain["out"])


def test_a_shorter_line_keeps_what_fits() -> None:
    edited = render("delay", {"time_ms": 100, "max_ms": 200}, {"in": SOUND}, edits=[Edit(12032, {"max_ms": 50})])["out"]
    assert np.array_equal(edited[:, 12032:], SOUND[:, 12032 - 2400 : -2400])


def test_another_length_and_time_at_once_does_not_click_in_the_echoes() -> None:
    """The successor goes on at the time of its predecessor and changes over to its own; what it repeats has no jump."""
    ramp = np.minimum(np.arange(96000) / 4800, 1.0).astype(np.float32)[None, :] * 0.25
    edits = [Edit(24064, {"time_ms": 30.0, "max_ms": 500.0}), Edit(48128, {"time_ms": 90.0})]
    before = {"time_ms": 50.0, "max_ms": 300.0, "feedback": 0.7}
    heard = render("delay", before, {"in": ramp}, edits=edits)["out"][0]
    assert np.abs(np.diff(heard)).max() < 3 * 0.25 / 0.3 / 960  # of the loudest echoes, in a fade of 20 ms
    edits = [Edit(4096, {"time_ms": 30.0, "max_ms": 500.0}), Edit(8192, {"time_ms": 90.0})]
    heard = render("delay", {"time_ms": 50.0, "max_ms": 300.0}, {"in": SOUND}, edits=edits)["out"]
    arrived = 4096 + 960
    assert np.array_equal(heard[:, arrived:8192], SOUND[:, arrived - 1440 : 8192 - 1440])
    arrived = 8192 + 960
    assert np.array_equal(heard[:, arrived:], SOUND[:, arrived - 4320 : -4320])
