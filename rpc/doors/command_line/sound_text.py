"""Samples and traces as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .terminal import aligned, counted
from .words import spelled

MOST_ROWS = 64  # of single samples; a terminal shows no more at a glance


def samples_text(result: Mapping[str, Any]) -> str:
    """Levels per channel, and the samples themselves where they are few."""
    channels, first, rate = result["samples"], result["frame"], result["sample_rate"]
    frames = len(channels[0])
    if not frames:
        return f"{result['port']}: nothing came through; does the engine run? `tonnetz status` tells."
    lines = [f"{result['port']}: {counted(frames, 'frame')} from frame {first} on, {rate} Hz", ""]
    rows = [("channel", "peak", "rms", "mean")]
    for number, samples in enumerate(channels, start=1):
        peak, square = max(map(abs, samples)), sum(sample * sample for sample in samples) / frames
        rows.append((str(number), dbfs(peak, 20), dbfs(square, 10), f"{sum(samples) / frames:.6f}"))
    lines += aligned(rows, "  ")
    if frames <= MOST_ROWS:
        numbers = [(str(first + at), *(f"{samples[at]:9.6f}" for samples in channels)) for at in range(frames)]
        lines += ["", *aligned(numbers, "  ")]
    return "\n".join(lines)


def trace_text(result: Mapping[str, Any]) -> str:
    """A line for each block, then what was changed meanwhile."""
    rows: list[tuple[str, ...]] = [("frame", "at ms", "busy µs", "in", "out")]
    for block in result["blocks"]:
        peaks = [block["in_peak_db"], block["out_peak_db"]]
        levels = ["silence" if peak is None else f"{peak:.1f}" for peak in peaks]
        rows.append((str(block["frame"]), f"{block['at_us'] / 1000:.2f}", f"{block['busy_us']:.1f}", *levels))
    lines = [f"{result['node']}, a {result['type']}; peaks in dBFS", "", *aligned(rows, "  ")]
    lines += [""] * bool(result["changes"])
    for change in result["changes"]:
        lines.append("  " + " ".join(f"{key}={spelled(value)}" for key, value in change.items()))
    if not result["complete"]:
        lines += ["", "No more blocks came."]
    return "\n".join(lines)


def dbfs(value: float, factor: int) -> str:
    return f"{factor * math.log10(value):.2f} dBFS" if value > 0 else "silence"
