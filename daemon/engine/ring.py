"""Rings of the core (csrc/ring.h): the way of samples between a thread outside and the audio thread."""

from __future__ import annotations

import numpy as np

from tonnetz._core import ffi, lib

from .core import Samples, made


class Ring:
    """Frames between one thread outside and the audio thread (csrc/ring.h). One writer, one reader, nobody waits on
    the audio side."""

    def __init__(self, channels: int, frames: int, rate: int = 48_000) -> None:
        """`rate`: the engine's, in Hz: threads that wait for frames nap by it."""
        handle = lib.tz_ring_new(channels, frames, rate)
        self.handle = made(handle, lib.tz_ring_release, f"a ring of {channels} x {frames}")
        self.channels = channels

    @property
    def capacity(self) -> int:
        return int(lib.tz_ring_capacity(self.handle))

    def resize(self, frames: int, *, writes: bool) -> bool:
        """Other memory while both sides are at work; False: there is none. `writes`: which side the caller is."""
        return bool(lib.tz_ring_resize(self.handle, frames, writes) == lib.TZ_OK)

    def write(self, block: Samples) -> int:
        """Puts in what fits of a (channels, frames) block of float32; the number of frames taken."""
        if block.shape[0] != self.channels or block.dtype != np.float32:
            raise ValueError(f"the ring takes ({self.channels}, n) float32, not {block.shape} {block.dtype}")
        if block.strides[1] != 4 or block.strides[0] % 4:
            block = np.ascontiguousarray(block)
        pointer = ffi.cast("float *", block.ctypes.data)
        return int(lib.tz_ring_write(self.handle, pointer, max(block.strides[0] // 4, 0), block.shape[1]))

    def read(self, frames: int) -> Samples:
        """Takes out up to `frames` frames, as (channels, got)."""
        block = np.empty((self.channels, frames), np.float32)
        got = lib.tz_ring_read(self.handle, ffi.cast("float *", block.ctypes.data), frames, frames)
        return block[:, :got]

    def wait_space(self, frames: int, timeout_ms: int) -> int:
        return int(lib.tz_ring_wait_space(self.handle, frames, timeout_ms))

    def wait_frames(self, frames: int, timeout_ms: int) -> int:
        return int(lib.tz_ring_wait_frames(self.handle, frames, timeout_ms))

    def close(self) -> None:
        """No more will come from, or be taken by, the outside: clocks no longer wait for this ring, nothing missing
        is counted."""
        lib.tz_ring_close(self.handle)

    def wake(self) -> None:
        """Ends a wait in another thread; where there is none, the next."""
        lib.tz_ring_wake(self.handle)

    @property
    def closed(self) -> bool:
        return bool(lib.tz_ring_closed(self.handle))

    @property
    def written(self) -> int:
        return int(lib.tz_ring_frames_written(self.handle))

    @property
    def taken(self) -> int:
        return int(lib.tz_ring_frames_read(self.handle))

    @property
    def missed(self) -> int:
        return int(lib.tz_ring_frames_missed(self.handle))
