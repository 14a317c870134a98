"""A ring in plain Python: what endpoints are tested with on their own, without the compiled core.

It keeps to daemon/endpoints/endpoint.py's Ring, and has what the audio thread does with a recorder's ring as well: `push`.
"""

from __future__ import annotations

import threading
import time

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


class RingDouble:
    """Frames in a list of columns, behind one lock."""

    def __init__(self, channels: int, frames: int) -> None:
        self.channels = channels
        self.capacity = 1 << (frames - 1).bit_length()
        self.closed = False
        self.written = self.taken = self.missed = 0
        self._held = np.zeros((channels, 0), np.float32)
        self._moved = threading.Condition()
        self._wakes = self._wakes_heard = 0

    def _put(self, block: Samples) -> int:
        assert block.shape[0] == self.channels and block.dtype == np.float32
        count = max(0, min(block.shape[1], self.capacity - self._held.shape[1]))
        self._held = np.concatenate([self._held, block[:, :count]], axis=1)
        self.written += count
        self._moved.notify_all()
        return count

    def _take(self, frames: int) -> Samples:
        block, self._held = self._held[:, :frames], self._held[:, frames:]
        self.taken += block.shape[1]
        self._moved.notify_all()
        return block

    def resize(self, frames: int, *, writes: bool) -> bool:
        with self._moved:
            self.capacity = 1 << (frames - 1).bit_length()
            self._moved.notify_all()
        return True

    # ---- The endpoint's side -----------------------------------------------------------------------------------------

    def write(self, block: Samples) -> int:
        with self._moved:
            return self._put(block)

    def read(self, frames: int) -> Samples:
        with self._moved:
            return self._take(frames)

    def wait_space(self, frames: int, timeout_ms: int) -> int:
        return self._wait(lambda: self.capacity - self._held.shape[1], frames, timeout_ms)

    def wait_frames(self, frames: int, timeout_ms: int) -> int:
        return self._wait(lambda: self._held.shape[1], frames, timeout_ms)

    def _wait(self, measure, frames: int, timeout_ms: int) -> int:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + timeout_ms / 1000
        with self._moved:
            while measure() < min(frames, self.capacity) and not self.closed and self._wakes == self._wakes_heard:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._moved.wait(left)
            self._wakes_heard = self._wakes
            return int(measure())

    def close(self) -> None:
        with self._moved:
            self.closed = True
            self._moved.notify_all()

    def wake(self) -> None:
        with self._moved:
            self._wakes += 1
            self._moved.notify_all()

    # ---- The audio thread's side -------------------------------------------------------------------------------------

    def push(self, block: Samples) -> None:
        """What a real-time block gives: dropped and counted where there is no room."""
        with self._moved:
            count = self._put(block)
            if not self.closed:
                self.missed += block.shape[1] - count
