"""Where in a file the sound is that plays now, told from how many frames the audio thread has taken."""

from __future__ import annotations

import threading
from collections import deque

import msgspec


class Mark(msgspec.Struct, frozen=True):
    """At frame `frame` of the ring the file is at `position_s`, moves on from there, and is back after `period_s`."""

    frame: int
    position_s: float
    moves: bool = True
    period_s: float | None = None

    def position(self, frame: int, rate: int) -> float:
        passed = (frame - self.frame) / rate if self.moves else 0.0
        return self.position_s + (passed % self.period_s if self.period_s else passed)


class Playhead:
    """The marks that the audio thread has yet to pass, and the last it has passed. Any thread may ask."""

    def __init__(self, rate: int, position_s: float) -> None:
        self._rate = rate
        self._marks = deque([Mark(0, position_s, moves=False)])
        self._lock = threading.Lock()

    def mark(self, mark: Mark, taken: int) -> None:
        with self._lock:
            self._marks.append(mark)
            self._pass(taken)

    def position_s(self, taken: int) -> float:
        """Where the sound is once `taken` frames have been played."""
        with self._lock:
            self._pass(taken)
            return self._marks[0].position(taken, self._rate)

    def _pass(self, taken: int) -> None:
        while len(self._marks) > 1 and self._marks[1].frame <= taken:
            self._marks.popleft()
