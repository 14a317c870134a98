"""Levels as people read them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def decibels(values: NDArray[Any], factor: int, digits: int = 2) -> list[float | None]:
    """`factor` 20 for magnitudes, 10 for powers. Null: silence, or no number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = np.round(factor * np.log10(values.astype(np.float64)), digits)
    return [level if np.isfinite(level) else None for level in levels.tolist()]
