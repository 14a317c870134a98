"""Gain: factors, the exact shape of its ramp, the control input."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rig import RATE, Edit, Samples, noise, render

FRAMES = 4096
SOUND = noise(FRAMES, 2)
ONES = np.ones((1, FRAMES), np.float32)


def factor(decibels: float) -> np.float32:
    return np.float32(10 ** (decibels / 20))


@pytest.mark.parametrize("gain_db", [-120.0, -6.0, -0.1, 0.0, 24.0])
def test_every_channel_is_multiplied(gain_db: float) -> None:
    out = render("gain", {"gain_db": gain_db}, {"in": SOUND})["out"]
    assert np.array_equal(out, SOUND * factor(gain_db))


def test_mute_and_invert() -> None:
    assert not render("gain", {"mute": True, "gain_db": 24.0}, {"in": SOUND})["out"].any()
    assert np.array_equal(render("gain", {"invert": True}, {"in": SOUND})["out"], -SOUND)


@pytest.mark.parametrize("width", [1, 3, 64])
def test_it_is_as_wide_as_what_comes_in(width: int) -> None:
    sound = noise(512, width)
    assert np.array_equal(render("gain", {}, {"in": sound})["out"], sound)


def glide(start: np.float32, end: np.float32, frames: int, *, gentle: bool = True) -> Samples:
    """A glide as csrc/ramp.h defines it, in float32: the last of `frames` values is the end itself."""
    straight = np.arange(frames - 1, -1, -1).astype(np.float32) * (np.float32(1) / np.float32(frames))
    smooth = straight * straight * (np.float32(3) - np.float32(2) * straight)
    way = straight + (smooth - straight) if gentle else straight
    return (end - (end - start) * way).astype(np.float32)


@pytest.mark.parametrize(
    ("config", "ramp_frames", "length"),
    [
        ({}, None, RATE * 20 // 1000),  # its own 20 ms
        ({"ramp_ms": 5.0}, None, RATE * 5 // 1000),
        ({"ramp_ms": 5.0}, 77, 77),  # the edit's is stronger
        ({}, 0, 0),
        ({"ramp_ms": 0.0}, None, 0),
        ({}, 1, 1),
    ],
)
def test_a_change_is_a_gentle_glide(config: dict[str, float], ramp_frames: int | None, length: int) -> None:
    edit = Edit(1024, {"gain_db": -6.0}, ramp_frames)
    out = render("gain", config, {"in": ONES}, edits=[edit])["out"][0]
    end = factor(-6.0)
    way = glide(np.float32(1), end, length) if length else np.empty(0, np.float32)
    expected = np.concatenate([ONES[0, :1024], way, np.full(FRAMES - 1024 - length, end, np.float32)])
    assert np.array_equal(out, expected)


def test_changes_on_the_way_go_straight_on_from_where_it_is() -> None:
    edits = [
        Edit(1024, {"mute": True}, 960),
        Edit(1280, {"gain_db": 6.0, "mute": False}, 960),
        Edit(1536, {"invert": True}),
    ]
    out = render("gain", {}, {"in": ONES}, edits=edits)["out"][0]
    steps = np.diff(out)
    assert np.abs(steps).max() <= (2 + 2) / 960  # the steepest way is the last, from near 1 to -2
    assert out[-1] == -factor(6.0)
    first_part = glide(np.float32(1), np.float32(0), 960)[:256]
    assert np.array_equal(out[1024:1280], first_part)
    assert np.array_equal(out[1280:1536], glide(first_part[-1], factor(6.0), 960, gentle=False)[:256])


def test_ramps_hold_when_nothing_sounds() -> None:
    """Time passes, sound or not."""
    silence = np.zeros((1, FRAMES), np.float32)
    silence[0, 3000:] = 1.0
    out = render("gain", {}, {"in": silence}, edits=[Edit(0, {"gain_db": -20.0})])["out"][0]
    assert (out[3000:] == factor(-20.0)).all()


def test_a_control_signal_drives_it() -> None:
    control = np.linspace(-150.0, 24.0, FRAMES, dtype=np.float32)[None, :]
    out = render("gain", {"gain_db": -6.0}, {"in": SOUND, "gain_db": control})["out"]
    expected = SOUND * factor(-6.0) * 10 ** (np.maximum(control, -120.0).astype(np.float64) / 20)
    assert np.abs(out / np.where(expected == 0, 1, expected) - 1).max() < 1e-6
