"""The core's probes as Python objects: taps, injections, traces (csrc/probe.h), and the commits that hang them on
nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tonnetz._core import ffi, lib

from .core import CoreCommit, CoreNode, Samples, check, made

Floats = NDArray[np.float32]


class Probe:
    """Something that can hang on a node object."""

    handle: Any

    def come(self, commit: CoreCommit, node: CoreNode) -> None:
        """From nowhere to a node, when the commit is adopted."""
        self._move(commit, ffi.NULL, node.handle)

    def move(self, commit: CoreCommit, source: CoreNode, target: CoreNode) -> None:
        """From one node to another, if it is at the first still."""
        self._move(commit, source.handle, target.handle)

    def go(self, commit: CoreCommit) -> None:
        """Away from wherever it is."""
        self._move(commit, ffi.NULL, ffi.NULL)

    def _move(self, commit: CoreCommit, source: Any, target: Any) -> None:
        check(lib.tz_commit_probe(commit.handle, self.handle, source, target), "a probe")


class CoreTap(Probe):
    """The newest `frames` frames of a port, at least. Places are frames of the engine."""

    def __init__(self, is_input: bool, port: int, channels: int, frames: int) -> None:
        handle = lib.tz_tap_new(is_input, port, channels, frames)
        self.handle = made(handle, lib.tz_probe_release, f"a tap of {channels} x {frames}")
        self.channels = channels
        self.capacity = 1 << (frames - 1).bit_length()
        self._bounds = ffi.new("uint64_t[2]")

    @property
    def span(self) -> tuple[int, int]:
        """The frames that can be read now: from the first to before the second."""
        lib.tz_tap_span(self.handle, self._bounds, self._bounds + 1)
        return int(self._bounds[0]), int(self._bounds[1])

    def read(self, first: int, frames: int) -> Samples | None:
        """(channels, frames); None where not all of them are there, or not any more."""
        block = np.empty((self.channels, frames), np.float32)
        there = lib.tz_tap_read(self.handle, first, _floats(block), frames, frames)
        return block if there else None


class CoreInjection(Probe):
    """Samples (channels, frames) to be added to an input, faded in and out over `fade_frames`."""

    def __init__(self, port: int, samples: Samples, fade_frames: int, block_frames: int) -> None:
        planar = np.ascontiguousarray(samples, np.float32)
        channels, frames = planar.shape
        handle = lib.tz_injection_new(port, channels, _floats(planar), frames, fade_frames, block_frames)
        self.handle = made(handle, lib.tz_probe_release, f"an injection of {channels} x {frames}")

    def stop(self) -> None:
        """It fades out, from the next block on."""
        lib.tz_injection_stop(self.handle)

    @property
    def left(self) -> int:
        """Frames still to come."""
        return int(lib.tz_injection_left(self.handle))


class TraceLine(NamedTuple):
    """A block of a node. Peaks are those over all ports of a direction; `begin_ns` is of time.monotonic_ns."""

    frame: int
    begin_ns: int
    faults: int
    busy_ns: int
    in_peak: float
    out_peak: float


class CoreTrace(Probe):
    """A line about each of the next blocks of a node."""

    def __init__(self, blocks: int) -> None:
        self.handle = made(lib.tz_trace_new(blocks), lib.tz_probe_release, f"a trace of {blocks} blocks")
        self._lines = ffi.new("struct tz_trace_line[]", blocks)
        self._blocks = blocks

    @property
    def lines(self) -> list[TraceLine]:
        """Those that there are by now."""
        count = lib.tz_trace_read(self.handle, 0, self._lines, self._blocks)
        return [TraceLine(*(getattr(line, name) for name in TraceLine._fields)) for line in self._lines[0:count]]


class CoreMeters:
    """The meters of some nodes, one after the other. `counts`: how many channels each node's meters have."""

    def __init__(self, nodes: Sequence[CoreNode], counts: Sequence[int]) -> None:
        self._nodes = nodes  # which live as long as their handles are here
        self._handles = ffi.new("struct tz_node *[]", [node.handle for node in nodes])
        self.channels = sum(counts)

    def read(self) -> tuple[Floats, Floats]:
        """Peaks since the last time and mean squares of the newest block."""
        peaks, squares = np.zeros(self.channels, np.float32), np.zeros(self.channels, np.float32)
        lib.tz_meters(self._handles, len(self._nodes), _floats(peaks), _floats(squares), self.channels)
        return peaks, squares


def _floats(array: Floats) -> Any:
    return ffi.cast("float *", array.ctypes.data)
