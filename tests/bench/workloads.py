"""The five workloads: each as a patch of the core's nodes, and as the numbers that limit.c needs for the same work."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..rig import RATE
from .limit import Floats
from .patch import BLOCK, Patch, Samples

SOURCES = 64
STRIPS = 32
SECTIONS, BANDS_OF_A_NODE = 256, 32
CHANNELS = 64
GAINS = 1000


@dataclass(frozen=True)
class Workload:
    """`build` lays a patch: given the sounds that go in, or None for noise of its own, it returns the place of the node whose
    output is the result."""

    name: str
    title: str
    build: Callable[[Patch, Samples | None], int]
    numbers: Callable[[], Floats]
    channels: tuple[int, int]  # in and out
    goal_ns: float | None = None  # in `unit`
    unit: str = "ns per frame"
    per_block: float = BLOCK  # how many of the unit there are in a block
    alone: bool = False  # only the node at work is measured: its many sources are not part of the work
    tolerance: float = 1e-5  # by which both sides may differ, as a part of the loudest sample

    def patch(self) -> tuple[Patch, int]:
        """Ready to be measured, and the place of the node whose output is the result."""
        patch = Patch()
        place = self.build(patch, None)
        patch.begin()
        return patch, place

    def render(self, sound: Samples) -> Samples:
        """What the core makes of (channels, frames); frames are whole blocks."""
        patch = Patch()
        place = self.build(patch, sound)
        channels, frames = self.channels[1], sound.shape[1]
        patch.wire(place, patch.recorder(channels, frames))
        patch.begin()
        return patch.render(frames // BLOCK)


def _source(patch: Patch, sound: Samples | None, first: int, channels: int) -> int:
    return patch.noise(channels, first) if sound is None else patch.player(sound[first : first + channels])


def _factor(decibels: Any) -> Any:
    return 10 ** (np.asarray(decibels) / 20)


def _balance(pan: Any) -> Any:
    """Left and right factor of a stereo input."""
    return np.stack([np.minimum(1, 1 - pan), np.minimum(1, 1 + pan)], axis=-1)


# ---- W1 ------------------------------------------------------------------------------------------------------------

_LEVELS = np.linspace(-40, -20, SOURCES)
_PANS = np.linspace(-0.9, 0.9, SOURCES)


def _build_mix(patch: Patch, sound: Samples | None) -> int:
    inputs = [{"gain_db": level, "pan": pan} for level, pan in zip(_LEVELS.tolist(), _PANS.tolist(), strict=True)]
    mixer = patch.add("mixer", {"inputs": inputs}, [2] * SOURCES, [2])
    for number in range(SOURCES):
        patch.wire(_source(patch, sound, 2 * number, 2), mixer, number)
    return mixer


def _mix_numbers() -> Floats:
    return (_factor(_LEVELS)[:, None] * _balance(_PANS)).astype(np.float32)


# ---- W2 ------------------------------------------------------------------------------------------------------------


def _bands(strip: int) -> list[dict[str, Any]]:
    near = 1 + strip / 100  # no two strips alike
    return [
        {"type": "low_shelf", "frequency": 100 * near, "gain_db": 3},
        {"type": "peaking", "frequency": 400 * near, "gain_db": -4, "q": 1.2},
        {"type": "peaking", "frequency": 2500 * near, "gain_db": 5, "q": 0.9},
        {"type": "high_shelf", "frequency": 8000 * near, "gain_db": -2},
    ]


_SQUEEZE = {"threshold_db": -30, "ratio": 4, "attack_ms": 5, "release_ms": 80, "knee_db": 6, "makeup_db": 3}
_MASTER = {"threshold_db": -24, "ratio": 2, "attack_ms": 10, "release_ms": 150, "knee_db": 6, "makeup_db": 0}
_STRIP_LEVELS = np.linspace(-36, -24, STRIPS)
_STRIP_PANS = np.linspace(-0.8, 0.8, STRIPS)


def _build_strips(patch: Patch, sound: Samples | None) -> int:
    source = _source(patch, sound, 0, 2)
    levels = zip(_STRIP_LEVELS.tolist(), _STRIP_PANS.tolist(), strict=True)
    mixer = patch.add("mixer", {"inputs": [{"gain_db": level, "pan": pan} for level, pan in levels]}, [2] * STRIPS, [2])
    for strip in range(STRIPS):
        equalizer = patch.add("equalizer", {"bands": _bands(strip)}, [2], [2])
        compressor = patch.add("compressor", _SQUEEZE, [2, 0], [2, 1])
        patch.wire(source, equalizer)
        patch.wire(equalizer, compressor)
        patch.wire(compressor, mixer, strip)
    master = patch.add("compressor", _MASTER, [2, 0], [2, 1])
    patch.wire(mixer, master)
    return master


def _squeeze_numbers(config: dict[str, Any]) -> list[float]:
    def share(milliseconds: float) -> float:
        return 1 - float(np.exp(-1 / (milliseconds * 1e-3 * RATE)))

    forget = share(10)  # the rms detector's window
    smoothing = [share(config["attack_ms"]), share(config["release_ms"])]
    curve = [config["threshold_db"], 1 / config["ratio"] - 1, config["knee_db"]]
    return [*curve, *smoothing, config["makeup_db"], 1 - forget, forget]


def _strip_numbers() -> Floats:
    coefficients = np.array([[cookbook(**band) for band in _bands(strip)] for strip in range(STRIPS)])
    gains = _factor(_STRIP_LEVELS)[:, None] * _balance(_STRIP_PANS)
    parts = [coefficients.transpose(1, 2, 0), gains.T, _squeeze_numbers(_SQUEEZE), _squeeze_numbers(_MASTER)]
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


def cookbook(type: str, frequency: float, gain_db: float, q: float = 0.7071) -> list[float]:
    """b0, b1, b2, a1, a2 by Bristow-Johnson's cookbook."""
    turn = 2 * np.pi * frequency / RATE
    cosine, alpha, amplitude = np.cos(turn), np.sin(turn) / (2 * q), 10 ** (gain_db / 40)
    if type == "peaking":
        above = [1 + alpha * amplitude, -2 * cosine, 1 - alpha * amplitude]
        below = [1 + alpha / amplitude, -2 * cosine, 1 - alpha / amplitude]
    else:
        way = {"low_shelf": 1, "high_shelf": -1}[type]
        plus, minus, root = amplitude + 1, amplitude - 1, 2 * np.sqrt(amplitude) * alpha
        c = way * cosine
        above = [
            amplitude * (plus - minus * c + root),
            way * 2 * amplitude * (minus - plus * c),
            amplitude * (plus - minus * c - root),
        ]
        below = [plus + minus * c + root, way * -2 * (minus + plus * c), plus + minus * c - root]
    return [float(value) for value in np.array([*above, *below[1:]]) / below[0]]


# ---- W3 ------------------------------------------------------------------------------------------------------------


def _section(number: int) -> dict[str, Any]:
    frequency = 100.0 * 2 ** (6.5 * number / SECTIONS)  # 100 Hz to 9 kHz: below, limit.c's form loses digits in 32 bits
    return {"type": "peaking", "frequency": frequency, "gain_db": 1.5 if number % 2 else -1.5, "q": 2.0}


def _build_sections(patch: Patch, sound: Samples | None) -> int:
    last = _source(patch, sound, 0, 2)
    for first in range(0, SECTIONS, BANDS_OF_A_NODE):
        bands = [_section(number) for number in range(first, first + BANDS_OF_A_NODE)]
        following = patch.add("equalizer", {"bands": bands}, [2], [2])
        patch.wire(last, following)
        last = following
    return last


def _section_numbers() -> Floats:
    coefficients = np.array([cookbook(**_section(number)) for number in range(SECTIONS)])
    lanes = 16
    return coefficients.reshape(-1, lanes, 5).swapaxes(1, 2).astype(np.float32)


# ---- W4 ------------------------------------------------------------------------------------------------------------


@functools.cache
def _matrix_db() -> tuple[tuple[float, ...], ...]:
    """One row for each output."""
    chance = np.random.default_rng(4)
    return tuple(map(tuple, chance.uniform(-50, -20, (CHANNELS, CHANNELS)).tolist()))


def _build_matrix(patch: Patch, sound: Samples | None) -> int:
    source = _source(patch, sound, 0, CHANNELS)
    config = {"in_channels": CHANNELS, "out_channels": CHANNELS, "matrix_db": [list(row) for row in _matrix_db()]}
    place = patch.add("channel_map", config, [CHANNELS], [CHANNELS])
    patch.wire(source, place)
    return place


def _matrix_numbers() -> Floats:
    return np.asarray(_factor(np.array(_matrix_db())).T, np.float32)


# ---- W6 ------------------------------------------------------------------------------------------------------------


def _gain_db(number: int) -> float:
    return 3.5 if number % 2 else -3.5


def _build_gains(patch: Patch, sound: Samples | None) -> int:
    last = _source(patch, sound, 0, 1)
    for number in range(GAINS):
        following = patch.add("gain", {"gain_db": _gain_db(number)}, [1, 1], [1])
        patch.wire(last, following)
        last = following
    return last


def _gain_numbers() -> Floats:
    return np.asarray(_factor([_gain_db(number) for number in range(GAINS)]), np.float32)


WORKLOADS = (
    Workload(
        "W1", "64 stereo sources to a stereo mix", _build_mix, _mix_numbers, (2 * SOURCES, 2), goal_ns=10, alone=True
    ),
    Workload(
        "W2",
        "32 strips of equalizer and compressor, mixed, compressed",
        _build_strips,
        _strip_numbers,
        (2, 2),
        goal_ns=150,
        tolerance=1e-3,
    ),
    Workload(
        "W3",
        "256 sections in series, stereo",
        _build_sections,
        _section_numbers,
        (2, 2),
        goal_ns=200,
        tolerance=1e-2,
    ),
    Workload(
        "W4",
        "matrix of 64 by 64 channels",
        _build_matrix,
        _matrix_numbers,
        (CHANNELS, CHANNELS),
        goal_ns=65,
        alone=True,
    ),
    Workload(
        "W6",
        "1000 gains in series, mono",
        _build_gains,
        _gain_numbers,
        (1, 1),
        goal_ns=20,
        unit="ns per node and block",
        per_block=GAINS,
        tolerance=1e-4,
    ),
)
