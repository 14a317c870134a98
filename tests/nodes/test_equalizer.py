"""The equalizer's responses against the cookbook, and what happens to bands that come, go and change their kind."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.nodes.cookbook import response, sections
from tests.rig import RATE, Edit, Samples, decibels, impulse, noise, render, sine

KINDS = ["peaking", "low_shelf", "high_shelf", "low_pass", "high_pass", "band_pass", "notch", "all_pass"]
WITH_GAIN = {"peaking", "low_shelf", "high_shelf"}
WITH_SLOPE = {"low_pass", "high_pass"}
LENGTH = 1 << 17  # 2.7 s: what rings longer is left out of the tests
TOLERANCE_DB = 0.1  # the promise; what is reached is below 0.02 dB, at 20 Hz in 32 bits


def measured(config: dict[str, Any], rate: int = RATE, length: int = LENGTH) -> tuple[NDArray[Any], NDArray[Any]]:
    """Frequencies from 20 Hz to 20 kHz and the complex response there."""
    out = render("equalizer", config, {"in": impulse(length)}, block=2048, rate=rate)["out"][0]
    frequencies = np.fft.rfftfreq(length, 1 / rate)
    heard = (frequencies >= 20) & (frequencies <= 20000)
    return frequencies[heard], np.fft.rfft(out.astype(np.float64))[heard]


def deviation_db(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """Where the response is above -60 dB, or within 60 dB of its own highest point, whichever is less deep: below, a
    float's 24 bits are what is seen."""
    loud = np.abs(expected) > 1e-3 * max(1.0, np.abs(expected).max())
    return float(np.abs(decibels(found) - decibels(expected))[loud].max()) if loud.any() else 0.0


def cases() -> list[tuple[str, float, float, float, int]]:
    found = []
    for kind, frequency, q in itertools.product(KINDS, (20, 60, 1000, 8000, 20000), (0.1, 0.7071, 4, 20)):
        gains = (-30.0, -6.0, 3.0, 12.0) if kind in WITH_GAIN else (0.0,)
        slopes = (6, 12, 18, 24, 48) if kind in WITH_SLOPE else (12,)
        for gain_db, slope in itertools.product(gains, slopes):
            sharpest = q * (10 ** (abs(gain_db) / 40) if kind in WITH_GAIN else slope / 12)
            if sharpest / frequency < 0.3:  # it rings for q / (π frequency): within LENGTH it fades by 75 dB
                found.append((kind, float(frequency), gain_db, q, slope))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_responses_are_the_cookbooks(kind: str) -> None:
    worst = 0.0
    for _, frequency, gain_db, q, slope in (case for case in cases() if case[0] == kind):
        band = {"type": kind, "frequency": frequency, "gain_db": gain_db, "q": q, "slope_db_oct": slope}
        frequencies, found = measured({"bands": [band]})
        expected = response(sections(kind, frequency, gain_db, q, slope), frequencies)
        deviation = deviation_db(found, expected)
        assert deviation < TOLERANCE_DB, band
        worst = max(worst, deviation)
    print(f"{kind}: at most {worst:.4f} dB off")  # noqa: T201


@pytest.mark.parametrize("rate", [44100, 96000, 192000])
def test_responses_at_other_rates(rate: int) -> None:
    for kind in KINDS:
        frequencies, found = measured({"bands": [{"type": kind, "frequency": 300, "gain_db": 6, "q": 2}]}, rate)
        expected = response(sections(kind, 300, 6 if kind in WITH_GAIN else 0, 2, rate=rate), frequencies, rate)
        assert deviation_db(found, expected) < TOLERANCE_DB


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9, 32])
def test_bands_follow_each_other(count: int) -> None:
    """Side by side in lanes in any number, still a chain."""
    bands = [
        {"type": KINDS[n % 3], "frequency": 60.0 * 1.2**n, "gain_db": 4.0 * (-1) ** n, "q": 0.5 + 0.1 * n}
        for n in range(count)
    ]
    frequencies, found = measured({"bands": bands, "gain_db": -3.0})
    chain = np.concatenate([sections(b["type"], b["frequency"], b["gain_db"], b["q"]) for b in bands])
    assert deviation_db(found, response(chain, frequencies) * 10 ** (-3 / 20)) < TOLERANCE_DB


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_channels_are_apart(width: int) -> None:
    """Every channel is as if it were alone, bit for bit."""
    sound = noise(4096, width)
    config = {"bands": [{"gain_db": 6, "frequency": 200 * n + 50, "type": KINDS[n]} for n in range(5)]}
    out = render("equalizer", config, {"in": sound})["out"]
    for channel in range(width):
        alone = render("equalizer", config, {"in": sound[channel : channel + 1]})["out"]
        assert np.array_equal(out[channel : channel + 1], alone)


def test_flat_bands_change_nothing() -> None:
    sound = noise(4096, 2)
    off = {"type": "low_pass", "frequency": 100, "slope_db_oct": 48, "enabled": False}
    assert np.array_equal(render("equalizer", {}, {"in": sound})["out"], sound)
    assert np.array_equal(render("equalizer", {"bands": [off, {}]}, {"in": sound})["out"], sound)


def test_frequencies_above_the_highest_are_held() -> None:
    config = {"bands": [{"type": "low_pass", "frequency": 24000}]}
    frequencies, found = measured(config, rate=32000)
    inside = frequencies < 15000
    expected = response(sections("low_pass", 0.49 * 32000, rate=32000), frequencies[inside], 32000)
    assert deviation_db(found[inside], expected) < TOLERANCE_DB


LOW = sine(60, 48000, -12.0)


def ripple(out: Samples, settled: int = 24000) -> float:
    """How far the peaks of a sine's periods are apart, in dB."""
    peaks = np.abs(out[0, settled:]).reshape(-1, 800).max(axis=1)
    return float(np.ptp(decibels(peaks)))


def test_after_a_glide_it_is_as_if_it_had_always_been_so() -> None:
    end = {"bands": [{"type": "low_shelf", "frequency": 150, "gain_db": 9, "q": 1}]}
    always = render("equalizer", end, {"in": LOW})["out"]
    glided = render("equalizer", {"bands": [{}]}, {"in": LOW}, edits=[Edit(2048, end)])["out"]
    assert np.abs(glided - always)[0, 24000:].max() < 1e-6


def test_memory_is_kept_by_a_retuned_band() -> None:
    """A narrow band rings on at its new tuning; were its memory lost, there would be silence."""
    ping = impulse(24000, at=10)
    tuned = {"bands": [{"type": "band_pass", "frequency": 500, "q": 40}]}
    retuned = {"bands": [{"type": "band_pass", "frequency": 750, "q": 40}]}
    out = render("equalizer", tuned, {"in": ping}, edits=[Edit(2048, retuned, 0)])["out"][0]
    after = out[2048 : 2048 + 4800].astype(np.float64)
    spectrum = np.abs(np.fft.rfft(after * np.hanning(4800)))
    assert np.argmax(spectrum) * RATE / 4800 == pytest.approx(750, abs=10)
    assert np.abs(after).max() > 0.5 * np.abs(out[1500:2048]).max()


def test_another_number_of_bands_takes_over_the_memory() -> None:
    two = {"bands": [{"frequency": 80, "gain_db": 12, "q": 3}, {"frequency": 2000, "gain_db": -6}]}
    three = {"bands": [*two["bands"], {}]}
    edited = render("equalizer", two, {"in": LOW}, edits=[Edit(24064, three)])["out"]
    assert np.array_equal(edited, render("equalizer", two, {"in": LOW})["out"]), "the third band is flat"


def test_steep_bands_come_and_go() -> None:
    """Sections that a gentle slope does not need sleep; woken, they start from silence while they fade in."""
    gentle = {"bands": [{"type": "high_pass", "frequency": 30, "slope_db_oct": 6}]}
    steep = {"bands": [{"type": "high_pass", "frequency": 30, "slope_db_oct": 48}]}
    edits = [Edit(4096, steep), Edit(10240, gentle), Edit(16384, steep)]
    out = render("equalizer", gentle, {"in": LOW}, edits=edits)["out"]
    assert np.abs(np.diff(out[0])).max() < 3 * np.abs(np.diff(LOW[0])).max()
    assert ripple(out) < 0.01
    always = render("equalizer", steep, {"in": LOW})["out"]
    assert np.abs(out - always)[0, 40000:].max() < 1e-6


def test_stable_while_everything_moves() -> None:
    """Wild retuning in every block: bounded by what the gains allow, and quiet soon after the sound ends."""
    random = np.random.default_rng(3)

    def wild() -> dict[str, Any]:
        return {
            "bands": [
                {
                    "type": str(random.choice(KINDS)),
                    "frequency": float(10 * 2400 ** random.random()),
                    "gain_db": float(random.uniform(-12, 12)),
                    "q": float(random.choice([0.1, 0.7, 5.0, 40.0])),
                    "slope_db_oct": int(random.integers(6, 49)),
                    "enabled": bool(random.random() < 0.8),
                }
                for _ in range(4)
            ]
        }

    sound = np.concatenate([noise(24000), np.zeros((1, 24000), np.float32)], axis=1)
    edits = [Edit(256 * n, wild(), int(random.integers(0, 2000))) for n in range(1, 100)]
    edits.append(Edit(256 * 100, {"bands": [{}] * 4}))
    out = render("equalizer", {"bands": [{}] * 4}, {"in": sound}, edits=edits)["out"]
    assert np.abs(out).max() < 1e4
    assert np.abs(out[0, -4800:]).max() < 1e-3
