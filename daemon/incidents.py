"""Where sound was lost lately, or nearly: when, what, and why, as far as that can be told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from .engine.core import EngineEvent
from .engine.news import trouble_told_by

KEPT = 100  # the newest; counters have them all


class Incidents:
    """The newest ones. `time_of` gives a frame's time of day, `block_ns` is what a block has, `costliest` names the
    node that takes most of it."""

    def __init__(self, time_of: Callable[[int], str], block_ns: float, costliest: Callable[[], str]) -> None:
        self._time_of = time_of
        self._block_ns = block_ns
        self._costliest = costliest
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._kept)

    def hear(self, event: EngineEvent, node_of: Callable[[int], str]) -> None:
        """Keeps what the engine told, if it is trouble."""
        node: str | None = None
        if event.kind == "late":
            cause, node = self._why_late(event)
        else:
            cause = trouble_told_by(event, node_of)
            node = node_of(event.id) if event.kind == "fault" else None
        if not cause:
            return
        self.add(event.frame, event.kind, cause, node)

    def add(self, frame: int, kind: str, cause: str, node: str | None) -> None:
        """Keeps one that somebody else noticed."""
        self._kept.append({"frame": frame, "time": self._time_of(frame), "kind": kind, "cause": cause, "node": node})

    def _why_late(self, event: EngineEvent) -> tuple[str, str | None]:
        """It began late, or it took too long; what weighs more is the cause."""
        began_ns, took_ns = event.id, event.value
        if took_ns < self._block_ns and began_ns > took_ns:
            return f"The machine woke the audio thread {began_ns / 1e6:.2f} ms late.", None
        of = f"{took_ns / 1e6:.2f} ms of the {self._block_ns / 1e6:.2f} ms that it has"
        node = self._costliest()
        return f"Processing took {of}{f'; most of it is {node}' if node else ''}.", node or None
