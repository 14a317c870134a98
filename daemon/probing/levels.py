"""The nodes' levels for many listeners at once. The core's peaks are emptied by looking, so one place looks, and each
listener gets the highest since its own last look."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..engine.core_probes import CoreMeters, Floats
from .decibels import decibels

if TYPE_CHECKING:
    from ..graph.plan import Plan
    from ..session import Session

LINGER_S = 5.0  # meters are filled for so long after somebody looked: they cost a pass over every output


class Layout(NamedTuple):
    """Whose levels lie where: of the channels that a node gives out, or a sink takes in, one after the other."""

    number: int  # another one for each layout
    nodes: dict[str, slice]
    meters: CoreMeters


class Reading(NamedTuple):
    """Linear, per channel: the peak since the listener's last look, and the mean square of the newest block."""

    layout: Layout
    peaks: Floats
    squares: Floats


class Selection:
    """Some nodes of a layout, and where their channels are: worked out once for all readings in it."""

    def __init__(self, layout: Layout, node_ids: Iterable[str]) -> None:
        self.layout = layout
        self.channels = {name: place.stop - place.start for name in node_ids for place in [layout.nodes[name]]}
        ranges = [np.arange(layout.nodes[name].start, layout.nodes[name].stop) for name in self.channels]
        self._places = np.concatenate(ranges) if ranges else np.zeros(0, int)

    def of(self, reading: Reading) -> tuple[Floats, Floats]:
        """Peaks and mean squares of all their channels, one after the other."""
        return reading.peaks[self._places], reading.squares[self._places]

    def in_decibels(self, reading: Reading) -> dict[str, dict[str, list[float | None]]]:
        """Of each node the peak and the rms of its channels, in dBFS; null: silence."""
        peaks, squares = self.of(reading)
        peak_db, rms_db = decibels(peaks, 20), decibels(squares, 10)
        told, at = {}, 0
        for name, count in self.channels.items():
            told[name] = {"peak_db": peak_db[at : at + count], "rms_db": rms_db[at : at + count]}
            at += count
        return told


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
        self._layout = Layout(0, {}, CoreMeters([], []))
        self._off: asyncio.TimerHandle | None = None

    def listen(self) -> Ear:
        ear = Ear(self)
        ear.peaks = np.zeros(self._layout.meters.channels, np.float32)
        self._ears.add(ear)
        return ear

    def forget(self, ear: Ear) -> None:
        self._ears.discard(ear)

    def read(self, ear: Ear, node_ids: Sequence[str] | None) -> Reading:
        self._keep_on()
        layout = self._present_layout()
        peaks, squares = layout.meters.read()
        for other in self._ears | {ear}:
            np.maximum(other.peaks, peaks, out=other.peaks)
        reading = Reading(layout, ear.peaks.copy(), squares)
        for place in [slice(None)] if node_ids is None else [layout.nodes[node_id] for node_id in node_ids]:
            ear.peaks[place] = 0.0
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
        self._layout = Layout(self._layout.number + 1, nodes, CoreMeters(cores, counts))
        for ear in self._ears:
            ear.peaks = np.zeros(place, np.float32)
        return self._layout

    def _keep_on(self) -> None:
        self._session.engine.meter(True)
        if self._off is not None:
            self._off.cancel()
        self._off = asyncio.get_running_loop().call_later(LINGER_S, self._session.engine.meter, False)
