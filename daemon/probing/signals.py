"""What can be played into an input: made here, or brought along."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..engine.core import Samples

Signal = Literal["tone", "noise", "impulse", "samples", "none"]


def tone(frequency: float, level_db: float, frames: int, sample_rate: int) -> Samples:
    """A sine; `level_db` is its peak, in dBFS. One channel."""
    phase = 2 * np.pi * frequency / sample_rate * np.arange(frames)
    return _leveled(np.sin(phase), level_db)


def noise(level_db: float, frames: int, seed: int) -> Samples:
    """White, evenly distributed up to the level; the same for the same seed. One channel."""
    return _leveled(np.random.default_rng(seed).uniform(-1.0, 1.0, frames), level_db)


def impulse(level_db: float, frames: int, at: int) -> Samples:
    """One sample at the level, the rest silence. One channel."""
    sound = np.zeros(frames)
    sound[min(at, frames - 1)] = 1.0
    return _leveled(sound, level_db)


def spread(sound: Samples, channels: int) -> Samples:
    """One channel over all of a port's; several stay as they are, and what they lack is silence."""
    if sound.shape[0] == 1:
        return np.repeat(sound, channels, axis=0)
    filled = np.zeros((channels, sound.shape[1]), np.float32)
    filled[: sound.shape[0]] = sound
    return filled


def _leveled(sound: NDArray[np.float64], level_db: float) -> Samples:
    return (10 ** (level_db / 20) * sound).astype(np.float32)[None, :]
