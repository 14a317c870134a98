"""The engine's life as people see it: start, stop, pause, step; how it is doing, and what each node costs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Literal

from .engine.core import CoreError, EngineEvent
from .engine.news import trouble_told_by
from .incidents import Incidents
from .memory_lock import memory_locked
from .probing.levels import Selection
from .problems import Refusal

if TYPE_CHECKING:
    from .probing.levels import Ear
    from .session import Session

log = logging.getLogger(__name__)

State = Literal["stopped", "running", "paused"]

ENDPOINT_PATIENCE_MS = 10_000  # how long a stepped block may wait for a player or a recorder
CLOSING_PATIENCE_S = 30.0  # for recorders to write out what they hold; a disk that hangs must not hang the daemon


class Runtime:
    """Starts and stops the engine of a session. Stopped: files are closed, time stands. Paused: time stands, files
    stay open."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = asyncio.Lock()  # one change of state at a time; edits go on meanwhile
        self._ear: Ear | None = None  # of all who ask for levels now and then
        self.state: State = "stopped"
        engine = session.engine
        self._block_ns = 1e9 * engine.block_frames / engine.sample_rate
        self._incidents = Incidents(session.time_of, self._block_ns, self._costliest)

    @property
    def active(self) -> bool:
        """Whether players and recorders are at work."""
        return self.state != "stopped"

    async def start(self) -> None:
        """Lets the engine run, from a stop with files begun anew, from a pause where it was held."""
        async with self._lock:
            if self.state == "running":
                return
            self._wake_outside()
            try:
                self._session.engine.start()
            except CoreError as error:
                raise Refusal("unavailable", f"The engine could not be started: {error}.") from error
            self._become("running")
            self._session.schedule_sweep()
            self._session.schedule.look()

    async def pause(self) -> None:
        """Holds the engine between two blocks; it goes on without a gap in any file."""
        async with self._lock:
            if self.state == "stopped":
                self._wake_outside()
            await self._halt()
            self._become("paused")

    async def stop(self) -> None:
        """Stops the engine; when this returns every file being written is complete, but for those on a disk that hangs,
        of which the log tells."""
        async with self._lock:
            if self.state == "stopped":
                return
            await self._halt()
            self._become("stopped")
            self._session.schedule.rest()
            ending = self._session.stage.end_outside()
            ended = await asyncio.gather(*(asyncio.to_thread(outside.join, CLOSING_PATIENCE_S) for outside in ending))
            for outside, has_ended in zip(ending, ended, strict=True):
                if not has_ended:
                    told = "%s has not ended, and is waited for no longer: if it writes a file, that may lack its end"
                    log.warning(told, outside.node_id)

    async def step(self, blocks: int) -> None:
        """Runs so many blocks and holds again. Waits for endpoints, so nothing is lost or missing."""
        async with self._lock:
            session = self._session
            if self.state == "running" and session.engine.clock != "step":
                raise Refusal(
                    "conflict", "The engine is running; pause it (runtime.pause) before stepping.", state=self.state
                )
            if self.state == "stopped":
                self._wake_outside()
                self._become("paused")
            try:
                with session.schedule.stepping(blocks * session.engine.block_frames):
                    await asyncio.to_thread(session.engine.step, blocks, ENDPOINT_PATIENCE_MS)
            except CoreError as error:
                if not error.is_starved:
                    raise Refusal("unavailable", f"The engine could not be stepped: {error}.") from error
                patience_s = ENDPOINT_PATIENCE_MS / 1000
                message = f"A block waited {patience_s:.0f} s for a player or recorder; see the nodes' states."
                raise Refusal("timeout", message, frame=session.engine.frame) from error
            finally:
                session.sweep()
                session.schedule.look()

    async def _halt(self) -> None:
        await asyncio.to_thread(self._session.engine.stop)
        self._session.sweep()

    def _wake_outside(self) -> None:
        if self.state == "stopped":
            try:
                self._session.renew_outside()
            except CoreError as error:
                message = f"Players and recorders could not begin anew: {error}. The engine stays stopped; try again."
                raise Refusal("unavailable", message) from error
            for part in self._session.stage.parts.values():
                part.start()

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._session.events.publish("runtime_changed", {"state": state, "frame": self._session.engine.frame})

    # ---- How it is doing ---------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """State, time and load. `load`: the share of a block's time that processing takes, averaged over a third of
        a second."""
        engine, now = self._session.engine, self._session.engine.status()
        return {
            "state": self.state,
            "frame": engine.frame,
            "time_s": engine.frame / engine.sample_rate,
            "sample_rate": engine.sample_rate,
            "block_frames": engine.block_frames,
            "clock": self._clock(),
            "load": now.load_average,
            "late_blocks": now.late_blocks,
        }

    def _clock(self) -> str:
        """What drives the blocks: the id of the node whose card does, else internal, freewheel or step."""
        scene, kind = self._session.stage.scene, self._session.engine.clock
        if kind != "internal" or scene.pacer is None:
            return kind
        outside = scene.parts[scene.pacer].outside
        runs = outside is not None and outside.state.name == "running"
        return scene.pacer.id if runs and self.state == "running" else kind

    def hear(self, event: EngineEvent) -> None:
        """What the audio thread tells of trouble is kept for `performance`; the worst of it is told at once."""
        node_of = self._session.stage.node_of
        self._incidents.hear(event, node_of)
        if message := trouble_told_by(event, node_of):
            self._warn(message, event.frame)

    def lose_sound(self, node_id: str, cause: str) -> None:
        """A card, a player or a recorder was not served in time, or did not serve in time."""
        if node_id not in self._session.graph.nodes:
            return
        frame = self._session.engine.frame
        self._incidents.add(frame, "xrun", cause, node_id)
        self._warn(f"{node_id}: {cause}", frame)

    def _warn(self, message: str, frame: int) -> None:
        log.warning("%s (frame %d)", message, frame)
        self._session.events.publish("log", {"level": "warning", "message": message, "frame": frame})

    def _costliest(self) -> str:
        """The node that takes most of a block; empty where none has been timed yet."""
        stage = self._session.stage
        costs = {node_id: stage.part(node_id).core.cost().average_ns for node_id in self._session.graph.nodes}
        node = max(costs, key=costs.__getitem__, default="")
        return node if node and costs[node] > 0 else ""

    def performance(self) -> dict[str, Any]:
        """What the audio thread counted, and what each node takes of a block (ns, of one block in 16)."""
        now = self._session.engine.status()
        nodes = {}
        for node_id in self._session.graph.nodes:
            core = self._session.stage.part(node_id).core
            cost = core.cost()
            nodes[node_id] = {
                "blocks": cost.blocks,
                "minimum_ns": cost.minimum_ns,
                "average_ns": cost.average_ns,
                "maximum_ns": cost.maximum_ns,
                "wait_ns": cost.wait_ns,
                "load": cost.average_ns / self._block_ns,
                "load_maximum": cost.maximum_ns / self._block_ns,
                "faults": core.faults,
            }
        return {
            **self.status(),
            "load_maximum": now.load_maximum,
            "blocks": now.blocks,
            "gaps": now.gaps,
            "gap_frames": now.gap_frames,
            "commits": now.commits,
            "faults": now.faults,
            "realtime_priority": now.realtime_priority,
            "memory_locked": memory_locked(),
            "lateness_us": {f"<{2**k}": count for k, count in enumerate(now.lateness) if count},
            "incidents": list(self._incidents),
            "nodes": nodes,
        }

    def meters(self, node_ids: list[str] | None = None) -> dict[str, dict[str, list[float | None]]]:
        """Peak since the last look and RMS of the newest block in dBFS, per channel of what a node gives out (a sink:
        takes in).

        None: silence. Meters are only filled while somebody looks, so the first look finds them empty.
        """
        if self._ear is None:
            self._ear = self._session.probing.levels.listen()
        reading = self._ear.read(node_ids)
        return Selection(reading.layout, reading.layout.nodes if node_ids is None else node_ids).in_decibels(reading)
