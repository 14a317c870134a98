"""The nodes' levels for many listeners at once. The core's peaks are emptied by looking, so one place looks, and each
listener gets the highest since its own last look."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine.core import CoreNode
from ..engine.core_probes import meters

if TYPE_CHECKING:
    from ..graph.plan import Plan
    from ..session import Session

LINGER_S = 5.0  # meters are filled for so long after somebody looked: they cost a pass over every output
Floats = NDArray[np.float32]


class Layout(NamedTuple):
    """Whose levels lie where: of the channels that a node gives out, or a sink takes in, one after the other."""

    number: int  # another one for each layout
    nodes: dict[str, slice]
    cores: list[CoreNode]
    counts: list[int]


class Reading(NamedTuple):
    """Linear, per channel: the peak since the listener's last look, and the mean square of the newest block."""

    layout: Layout
    peaks: Floats
    squares: Floats

    def of(self, node_id: str) -> tuple[Floats, Floats]:
        place = self.layout.nodes[node_id]
        return self.peaks[place], self.squares[place]


class Ear:
    """One listener. What it has not looked at yet is in `peaks`."""

    def __init__(self, levels: Levels) -> None:
        self._levels = levels
        self.peaks: Floats = np.zeros(0, np.float32)

    def read(self, node_ids: Sequence[str] | None = None) -> Reading:
        """As of now; the peaks of these nodes, or of all, begin anew. The first look after a while finds no levels:
        nobody measured them."""
        return self._levels.read(self, node_ids)

    def close(self) -> None:
        self._levels.forget(self)


class Levels:
    """All listeners of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._ears: set[Ear] = set()
        self._plan: Plan | None = None
        self._layout = Layout(0, {}, [], [])
        self._off: asyncio.TimerHandle | None = None

    def listen(self) -> Ear:
        ear = Ear(self)
        ear.peaks = np.zeros(sum(self._layout.counts), np.float32)
        self._ears.add(ear)
        return ear

    def forget(self, ear: Ear) -> None:
        self._ears.discard(ear)

    def read(self, ear: Ear, node_ids: Sequence[str] | None) -> Reading:
        self._keep_on()
        layout = self._present_layout()
        peaks, squares = meters(layout.cores, layout.counts)
        for other in self._ears | {ear}:
            np.maximum(other.peaks, peaks, out=other.peaks)
        reading = Reading(layout, ear.peaks.copy(), squares)
        for node_id in layout.nodes if node_ids is None else node_ids:
            ear.peaks[layout.nodes[node_id]] = 0.0
        return reading

    def close(self) -> None:
        if self._off is not None:
            self._off.cancel()

    def _present_layout(self) -> Layout:
        """Where the graph's objects have changed, all listeners begin anew: peaks of the moment are lost."""
        stage = self._session.stage
        if stage.plan is self._plan:
            return self._layout
        nodes, cores, counts, place = {}, [], [], 0
        for node_id in self._session.graph.nodes:
            part = stage.part(node_id)
            channels = part.plan_node.channels
            count = sum((channels.outputs or channels.inputs).values())
            nodes[node_id] = slice(place, place + count)
            cores.append(part.core)
            counts.append(count)
            place += count
        self._plan = stage.plan
        self._layout = Layout(self._layout.number + 1, nodes, cores, counts)
        for ear in self._ears:
            ear.peaks = np.zeros(place, np.float32)
        return self._layout

    def _keep_on(self) -> None:
        self._session.engine.meter(True)
        if self._off is not None:
            self._off.cancel()
        self._off = asyncio.get_running_loop().call_later(LINGER_S, self._session.engine.meter, False)
