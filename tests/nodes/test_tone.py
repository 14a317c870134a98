"""The tone: frequencies, levels and purity; noise that can be had again; sweeps and impulses at the right time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import welch
from scipy.signal.windows import blackmanharris

from tests.rig import RATE, Bench, Edit, Samples, decibels, gently, level_db, render

SECOND = RATE


def tone(frames: int = SECOND, rate: int = RATE, edits: tuple[Edit, ...] = (), **config: Any) -> Samples:
    return render("tone", {"level_db": 0.0, "channels": 1, **config}, None, frames, rate=rate, edits=edits)["out"]


def spectrum_db(sound: Samples) -> NDArray[np.float64]:
    """Amplitudes of one second of one channel, bins 1 Hz apart, a component three bins to either side."""
    window = blackmanharris(sound.shape[1])
    return decibels(np.fft.rfft(sound[0].astype(np.float64) * window) / window.sum() * 2)


@pytest.mark.parametrize("frequency", [0.5, 20, 997, 1000.25, 12345.678, 23520])
@pytest.mark.parametrize("level_db", [0.0, -20.0, -120.0])
def test_a_sine_is_a_sine(frequency: float, level_db: float) -> None:
    out = tone(frequency=frequency, level_db=level_db)[0]
    exact = 10 ** (level_db / 20) * np.sin(2 * np.pi * np.mod(frequency / RATE * np.arange(SECOND), 1.0))
    assert decibels(np.abs(out - exact).max()) < level_db - 130


@pytest.mark.parametrize("frequency", [100, 997, 5000])
def test_a_sine_is_pure(frequency: int) -> None:
    """Harmonics and everything else: more than 140 dB down; promised 120 dB."""
    spectrum = spectrum_db(tone(frequency=frequency))
    assert spectrum[frequency] == pytest.approx(0.0, abs=1e-4)
    spectrum[frequency - 4 : frequency + 5] = -400
    assert spectrum.max() < -140


def test_it_does_not_drift() -> None:
    """After ten minutes the phase is still that of the first period, within a hundred-millionth of a turn."""
    frequency, minutes = 997.1, 10
    bench = Bench("tone", {"frequency": frequency, "level_db": 0.0, "channels": 1}, block=2048, room=2048 * 600)
    blocks = minutes * 60 * RATE // 2048
    for _ in range(blocks // 500):
        bench.step(500)
        bench.forget()
    bench.step(1)
    frames = np.arange(2048, dtype=np.int64) + blocks // 500 * 500 * 2048
    turns = np.mod(frames * 9971, RATE * 10) / (RATE * 10)  # whole numbers: exact
    assert np.abs(bench.outputs["out"][0] - np.sin(2 * np.pi * turns)).max() < 2e-7


def test_all_channels_have_the_same_wave() -> None:
    out = tone(4096, channels=5)
    assert out.shape == (5, 4096) and (out == out[0]).all()


def test_frequency_is_held_below_half_the_rate() -> None:
    assert np.argmax(spectrum_db(tone(frequency=24000, rate=RATE))) == round(0.49 * RATE)


# ---- Square, saw, triangle -----------------------------------------------------------------------------------------


def naive(wave: str, turns: NDArray[np.float64], duty: float = 0.5) -> NDArray[np.float64]:
    turns = np.mod(turns, 1.0)
    match wave:
        case "square":
            return np.where(turns < duty, 1.0, -1.0)
        case "saw":
            return 2 * np.mod(turns + 0.5, 1.0) - 1
        case _:
            return 1 - 4 * np.abs(np.mod(turns + 0.25, 1.0) - 0.5)


@pytest.mark.parametrize("wave", ["square", "saw", "triangle"])
def test_between_corners_waves_are_themselves(wave: str) -> None:
    frequency = 441.0
    turns = np.arange(SECOND) * frequency / RATE
    out, plain = tone(wave=wave, frequency=frequency)[0], naive(wave, turns)
    corners = {"square": [0, 0.5], "saw": [0.5], "triangle": [0.25, 0.75]}[wave]
    apart = np.min([np.abs(np.mod(turns - corner + 0.5, 1.0) - 0.5) for corner in corners], axis=0)
    assert np.abs(out - plain)[apart * RATE > frequency * 1.001].max() < 1e-6
    assert np.abs(out).max() <= 1.0
    assert np.abs(out - plain).max() > 0.01, "corners are rounded"


@pytest.mark.parametrize(("wave", "gain"), [("square", 15.0), ("saw", 15.0), ("triangle", 10.0)])
def test_waves_are_band_limited(wave: str, gain: float) -> None:
    """Below 10 kHz what folded back is far less than in the wave as drawn."""
    frequency = 1661  # its harmonics fold back to other places than its own
    turns = np.arange(SECOND) * frequency / RATE
    foreign = []
    for sound in (tone(wave=wave, frequency=frequency), naive(wave, turns)[None, :]):
        spectrum = spectrum_db(sound)[:10000]
        for harmonic in range(0, 10000, frequency):
            spectrum[max(0, harmonic - 4) : harmonic + 5] = -400
        foreign.append(spectrum.max())
    print(f"{wave}: {foreign[0]:.1f} dB, as drawn {foreign[1]:.1f} dB")  # noqa: T201
    assert foreign[0] < foreign[1] - gain


def test_duty() -> None:
    out = tone(wave="square", duty=20, frequency=100)[0]
    assert (out > 0).mean() == pytest.approx(0.2, abs=0.002)
    glided = tone(wave="square", duty=20, frequency=100, edits=(Edit(4096, {"duty": 80}),))[0]
    assert (glided[9600:] > 0).mean() == pytest.approx(0.8, abs=0.002)


# ---- Noise ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wave", ["white", "pink"])
def test_the_same_seed_gives_the_same_noise(wave: str) -> None:
    one = tone(8192, wave=wave, seed=7, channels=2)
    assert np.array_equal(one, tone(8192, wave=wave, seed=7, channels=2))
    assert np.array_equal(one[:1], tone(8192, wave=wave, seed=7, channels=1)), "a channel does not depend on the others"
    other = tone(8192, wave=wave, seed=8, channels=2)
    for a, b in ((one[0], one[1]), (one[0], other[0]), (one[1], other[0])):
        assert abs(np.corrcoef(a, b)[0, 1]) < (0.05 if wave == "white" else 0.3)


def test_white_noise_is_white() -> None:
    out = tone(1 << 19, wave="white", channels=2)
    assert np.abs(out).max() <= 1.0
    assert np.abs(out.mean(axis=1)).max() < 0.003
    assert np.abs(out.astype(np.float64).var(axis=1) * 3 - 1).max() < 0.005
    histogram = np.histogram(out, 64, (-1, 1))[0] / out.size * 64
    assert np.abs(histogram - 1).max() < 0.04
    for channel in out:
        density = 10 * np.log10(welch(channel, RATE, nperseg=512)[1][2:-2])
        assert np.ptp(density) < 1.2
        for lag in (1, 2, 3, 64, 256, 4096):
            assert abs(np.corrcoef(channel[:-lag], channel[lag:])[0, 1]) < 0.006
    for lag in range(-64, 65):
        assert abs(np.corrcoef(np.roll(out[0], lag), out[1])[0, 1]) < 0.007


@pytest.mark.parametrize("rate", [44100, 48000, 96000])
def test_pink_noise_is_pink(rate: int) -> None:
    out = tone(1 << 21, rate, wave="pink")[0]
    assert np.abs(out).max() <= 1.0
    assert level_db(out) - 3.01 == pytest.approx(-12, abs=0.3)
    frequencies, density = welch(out, rate, nperseg=16384)
    bands = [(low, low * 2 ** (1 / 3)) for low in 20 * 2 ** (np.arange(29) / 3)]
    levels = []
    for low, high in bands:
        inside = (frequencies >= low) & (frequencies < high)
        if inside.sum() > 2:
            levels.append(10 * np.log10((density[inside] * frequencies[inside]).mean()))
    assert len(levels) >= 24
    assert np.ptp(levels) < 1.5, "the same power in every third of an octave; half of it is chance"


# ---- Sweep, impulse, silence ---------------------------------------------------------------------------------------


def test_a_sweep_takes_as_long_for_every_octave() -> None:
    seconds = 4.0
    out = tone(int(seconds * RATE) * 2, wave="sweep", sweep_s=seconds)[0].astype(np.float64)
    rising = np.flatnonzero((out[:-1] < 0) & (out[1:] >= 0))
    crossing = rising - out[rising] / (out[rising + 1] - out[rising])
    middle, found = (crossing[1:] + crossing[:-1]) / 2, RATE / np.diff(crossing)
    expected = 20 * 1000 ** (np.mod(middle / RATE, seconds) / seconds)
    away_from_the_seam = (np.mod(middle / RATE, seconds) > 0.3) & (expected < 5000)
    assert away_from_the_seam.sum() > 4000
    assert np.abs(found / expected - 1)[away_from_the_seam].max() < 0.01
    assert np.abs(out).max() == pytest.approx(1.0, abs=1e-4)


def test_a_sweep_starts_at_its_start_when_it_is_chosen() -> None:
    out = tone(RATE, wave="silence", sweep_s=1.0, edits=(Edit(25600, {"wave": "sweep"}, 0),))[0]
    always = tone(RATE, wave="sweep", sweep_s=1.0)[0]
    assert np.array_equal(out[25600:], always[: RATE - 25600])


@pytest.mark.parametrize("frequency", [100.0, 48.0, 7.5, 700.0])
def test_impulses_come_once_in_a_period(frequency: float) -> None:
    out = tone(wave="impulse", frequency=frequency, level_db=-6.0)[0]
    at = np.flatnonzero(out)
    periods = np.arange(int(frequency))
    assert np.array_equal(at[: periods.size], np.ceil(periods * RATE / frequency - 1e-6)), "exact where a period is"
    assert np.unique(out).tolist() == [0.0, np.float32(10 ** (-6 / 20))]


def test_silence() -> None:
    assert not tone(wave="silence").any()


# ---- Changes -------------------------------------------------------------------------------------------------------


def test_a_new_frequency_keeps_the_phase() -> None:
    out = tone(RATE, frequency=200, edits=(Edit(20480, {"frequency": 2000}), Edit(20736, {"frequency": 300})))[0]
    steepest = 2 * np.pi * 2000 / RATE
    assert np.abs(np.diff(out)).max() <= steepest
    assert np.abs(np.diff(np.diff(out))).max() <= 1.05 * steepest**2 + 2 * np.pi * 1800 / RATE / 960, "no bend either"
    settled = out[RATE // 2 :].astype(np.float64)
    rising = np.flatnonzero((settled[:-1] < 0) & (settled[1:] >= 0))
    assert np.diff(rising).mean() == pytest.approx(160, abs=0.01)


def test_a_new_wave_cross_fades() -> None:
    at, length = 9984, RATE * 20 // 1000
    sine, saw = tone(wave="sine")[0], tone(wave="saw")[0]
    out = tone(wave="sine", edits=(Edit(at, {"wave": "saw"}),))[0]
    left = 1 - np.arange(1, length + 1) / length
    share = left * left * (3 - 2 * left)
    assert np.array_equal(out[:at], sine[:at]) and np.array_equal(out[at + length :], saw[at + length :])
    faded = saw[at : at + length] + (sine - saw)[at : at + length] * share
    assert np.abs(out[at : at + length] - faded).max() < 1e-6


def test_a_new_level_is_reached_gently() -> None:
    out = tone(RATE, wave="square", frequency=0.1, level_db=-6.0, edits=(Edit(4096, {"level_db": -20.0}, 1000),))[0]
    before, after = 10 ** (-6 / 20), 10 ** (-20 / 20)
    assert np.abs(out[4096:5096] - (before + (after - before) * gently(np.arange(1, 1001) / 1000))).max() < 1e-6


def test_more_channels_go_on_in_phase() -> None:
    edited = render("tone", {"seed": 3, "frequency": 123.4}, None, 8192, edits=[Edit(4096, {"seed": 4})])["out"]
    assert np.array_equal(edited, render("tone", {"frequency": 123.4}, None, 8192)["out"])
