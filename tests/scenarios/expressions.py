"""The arithmetic that a scenario file may use for its sounds and for what is to be heard: numpy, and the curves below."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..rig import gently


def evaluate(text: str, names: Mapping[str, Any]) -> NDArray[np.float64]:
    """The value of an expression. Files in this repository are trusted; what is not offered is kept away against mistakes."""
    offered = {"np": np, "pi": np.pi, "sin": np.sin, "cos": np.cos, "where": np.where, "abs": np.abs, "noise": noise}
    return eval(compile(text, text, "eval"), {"__builtins__": {}}, offered | names)


def noise(seed: int, frames: int, peak: float = 0.5) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-peak, peak, frames)


def curves(n: NDArray[np.int64]) -> dict[str, Callable[..., NDArray[np.float64]]]:
    """How gains move over the frames `n`. A change at frame F has gone the first of its steps in frame F itself, and has
    arrived in frame F + frames - 1."""

    def way(at: int, frames: int) -> NDArray[np.float64]:
        return np.clip((n - at + 1) / frames, 0, 1) if frames else (n >= at).astype(float)

    def fade_in(at: int, frames: int = 960) -> NDArray[np.float64]:
        """0, a raised cosine, 1."""
        return 0.5 - 0.5 * np.cos(np.pi * way(at, frames))

    def fade_out(at: int, frames: int = 960) -> NDArray[np.float64]:
        return 1 - fade_in(at, frames)

    def ramp(at: int, frames: int, before: float, after: float) -> NDArray[np.float64]:
        """A glide of a parameter from one value to the other."""
        return before + (after - before) * gently(way(at, frames))

    return {"fade_in": fade_in, "fade_out": fade_out, "ramp": ramp}
