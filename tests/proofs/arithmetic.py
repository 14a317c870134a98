"""What numpy needs to know of single nodes to work out whole graphs to the bit: factors, measured where nothing else is in the way."""

from __future__ import annotations

import functools
import json

import numpy as np

from ..rig import Samples, render


@functools.cache
def gain_factor(config: str) -> np.float32:
    """What a gain multiplies by. `config`: as JSON, here and below."""
    ones = np.ones((1, 4), np.float32)
    return render("gain", json.loads(config), {"in": ones}, block=4)["out"][0, -1]


@functools.cache
def strip_factors(config: str, number: int, width: int) -> Samples:
    """What an input of this width adds to each output of a mixer, as (channels,)."""
    ones = np.ones((width, 4), np.float32)
    return render("mixer", json.loads(config), {f"in_{number + 1}": ones}, block=4)["out"][:, -1]


@functools.cache
def matrix_factors(config: str) -> Samples:
    """A channel map's matrix, as (outputs, inputs)."""
    width = json.loads(config)["in_channels"]
    columns = [np.eye(width, dtype=np.float32)[:, [number] * 4] for number in range(width)]
    heard = [render("channel_map", json.loads(config), {"in": column}, block=4)["out"][:, -1] for column in columns]
    return np.stack(heard, axis=1)


def mapped(sound: Samples, width: int) -> Samples:
    """Mono to both sides; half of each side to mono."""
    if len(sound) == width:
        return sound
    if width == 2:
        return np.concatenate([sound, sound])
    return np.float32(0.5) * (sound[0:1] + sound[1:2])
