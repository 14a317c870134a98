"""The other side of the comparison: limit.c, compiled for this machine and called from Python."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from cffi import FFI
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SOURCE = Path(__file__).with_name("limit.c")
FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fno-lto")
WIDEST = ("-mprefer-vector-width=512",) if platform.machine() == "x86_64" else ()  # gcc itself would halve them
BLOCK = 256
NUMBERS = {"W1": 0, "W2": 1, "W3": 2, "W4": 3, "W6": 4}  # as enum workload has them

_FFI = FFI()
_FFI.cdef(
    """
    void limit_prepare(int workload, const float *numbers);
    double limit_run(int workload, const float *in, size_t in_step, float *out, size_t out_step,
        uint32_t blocks, double *worst_ns);
    """
)


def compiled(folder: Path) -> Path:
    """limit.c as a library in `folder`. Another machine may share the folder, so it is compiled for each run."""
    library = folder / "limit.so"
    library.unlink(missing_ok=True)  # one that is loaded must not be written over
    warnings = ("-Wall", "-Wextra", "-Werror", "-Wno-psabi")
    flags = [*FLAGS, *WIDEST, *warnings, "-shared", "-fPIC", "-fvisibility=hidden"]
    subprocess.run(["gcc", *flags, str(SOURCE), "-o", str(library)], check=True)
    return library


class Limit:
    """One workload's loop."""

    def __init__(self, library: Any, workload: str, numbers: Floats, channels_in: int, channels_out: int) -> None:
        self._library = library
        self._workload = NUMBERS[workload]
        self._numbers = np.ascontiguousarray(numbers, np.float32)
        self._out = np.zeros((channels_out, BLOCK), np.float32)
        chance = np.random.default_rng(1)
        self._in = chance.uniform(-0.1, 0.1, (channels_in, BLOCK)).astype(np.float32)
        self._worst = _FFI.new("double *")
        self.begin()

    def begin(self) -> None:
        """As if nothing had sounded yet."""
        self._library.limit_prepare(self._workload, _pointer(self._numbers))

    def render(self, sound: Floats) -> Floats:
        """What comes of (channels, frames) from the beginning; frames are whole blocks."""
        self.begin()
        blocks = sound.shape[1] // BLOCK
        given = np.ascontiguousarray(sound.reshape(sound.shape[0], blocks, BLOCK).swapaxes(0, 1))
        made = np.zeros((blocks, *self._out.shape), np.float32)
        self._run(given, given[0].size, made, made[0].size, blocks)
        return made.swapaxes(0, 1).reshape(self._out.shape[0], -1)

    def measure(self, blocks: int) -> tuple[float, float]:
        """ns for a block: on average, and the slowest. The sound that goes in is the same in every block."""
        total = self._run(self._in, 0, self._out, 0, blocks)
        return total / blocks, self._worst[0]

    def _run(self, given: Floats, given_step: int, made: Floats, made_step: int, blocks: int) -> float:
        workload, worst = self._workload, self._worst
        run = self._library.limit_run
        return float(run(workload, _pointer(given), given_step, _pointer(made), made_step, blocks, worst))


def _pointer(values: Floats) -> Any:
    return _FFI.cast("float *", values.ctypes.data)


def opened(folder: Path) -> Callable[[str, Floats, int, int], Limit]:
    """Compiles limit.c and makes its loops: (workload, numbers, channels in, channels out)."""
    library = _FFI.dlopen(str(compiled(folder)))
    return lambda workload, numbers, channels_in, channels_out: Limit(
        library, workload, numbers, channels_in, channels_out
    )
