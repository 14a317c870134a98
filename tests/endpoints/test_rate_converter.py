"""Sample rates are changed without delay, without seams between blocks, and with what folds or errs far below hearing."""

from __future__ import annotations

import numpy as np
import pytest

from tonnetz.daemon.endpoints.rate_converter import RateConverter

from .bench import Samples, noise


def converted(block: Samples, from_rate: int, to_rate: int, piece: int = 4410) -> Samples:
    converter = RateConverter(block.shape[0], from_rate, to_rate)
    parts = [converter.push(block[:, at : at + piece]) for at in range(0, block.shape[1], piece)]
    return np.concatenate([*parts, converter.finish()], axis=1)


def sine(frequency: float, rate: int, frames: int, channels: int = 1) -> Samples:
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(frames) / rate)
    return np.repeat(wave[np.newaxis], channels, axis=0).astype(np.float32)


def decibels(error: Samples) -> float:
    """Of a sine of 0.5, away from the edges."""
    middle = error[:, 2000:-2000]
    return float(10 * np.log10(np.mean(middle.astype(np.float64) ** 2) / 0.125))


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 48000), (48000, 44100), (96000, 48000), (48000, 192000)])
@pytest.mark.parametrize("share", [0.01, 0.2, 0.44])
def test_sines_stay_what_they_are(from_rate: int, to_rate: int, share: float) -> None:
    frequency = share * min(from_rate, to_rate)
    block = converted(sine(frequency, from_rate, from_rate), from_rate, to_rate)
    assert abs(block.shape[1] - to_rate) < 1
    assert decibels(block - sine(frequency, to_rate, block.shape[1])) < -110


@pytest.mark.parametrize("frequency", [26000, 30000, 47000])
def test_what_the_lower_rate_can_not_hold_does_not_fold_into_it(frequency: int) -> None:
    assert decibels(converted(sine(frequency, 96000, 96000), 96000, 48000)) < -110


@pytest.mark.parametrize("channels", [1, 2, 3, 7, 8, 13, 64])
def test_channels_stay_apart_and_in_order(channels: int) -> None:
    block = np.concatenate([sine(300 + 100 * number, 44100, 8000) for number in range(channels)])
    together = converted(block, 44100, 48000)
    for number in range(channels):
        assert np.array_equal(together[number], converted(block[number : number + 1], 44100, 48000)[0])


def test_the_size_of_blocks_does_not_matter() -> None:
    block = noise(20000)
    whole = converted(block, 44100, 48000, 20000)
    for piece in (1, 997, 4410):
        assert np.array_equal(converted(block[:, :20000], 44100, 48000, piece), whole)


def test_equal_rates_change_nothing() -> None:
    block = noise(5000)
    converter = RateConverter(2, 48000, 48000)
    assert converter.push(block) is block
    assert converter.finish().shape == (2, 0)


def test_after_its_end_it_begins_anew() -> None:
    block = noise(5000)
    converter = RateConverter(2, 44100, 48000)
    runs = [np.concatenate([converter.push(block), converter.finish()], axis=1) for _ in range(2)]
    assert np.array_equal(runs[0], runs[1])
    assert converter.finish().shape == (2, 0)
