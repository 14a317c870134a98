"""Node objects wired up and stepped by hand: the core alone, with nothing of the daemon around it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tonnetz.daemon.engine.core import CoreCommit, CoreEngine, CoreLink, CoreNode, CorePlan, Route
from tonnetz.daemon.engine.ring import Ring
from tonnetz.daemon.graph.config import flatten

from ..rig import RATE, catalogue, configured

BLOCK = 256
BLOCK_NS = 1e9 * BLOCK / RATE
PATIENCE_MS = 10_000
BLOCKS_PER_MAXIMUM = 1024  # the engine remembers the slowest of so many at least (csrc/telemetry.c)

Samples = NDArray[np.float32]  # (channels, frames)


class Patch:
    """First nodes and wires, then `begin`, then blocks."""

    def __init__(self) -> None:
        self.engine = CoreEngine(RATE, BLOCK, "step")
        self.nodes: list[CoreNode] = []
        self.routes: list[Route] = []
        self._heard: Ring | None = None

    def add(self, node_type: str, config: Mapping[str, Any], inputs: Sequence[int], outputs: Sequence[int]) -> int:
        """A node with so many channels at each port; its place."""
        spec = catalogue()[node_type]
        values, count = flatten(spec, configured(node_type, config))
        return self._add(node_type, inputs, outputs, values, list_count=count)

    def noise(self, channels: int, seed: int) -> int:
        return self.add("tone", {"wave": "white", "channels": channels, "level_db": -20, "seed": seed}, [], [channels])

    def player(self, sound: Samples) -> int:
        """Plays the sound once."""
        ring = Ring(*sound.shape)
        ring.write(sound)
        ring.close()
        return self._add("ring_source", [], [ring.channels], [0.0], ring=ring)

    def recorder(self, channels: int, frames: int) -> int:
        self._heard = Ring(channels, frames)
        return self._add("ring_sink", [channels], [], [], ring=self._heard)

    def _add(
        self, core_type: str, inputs: Sequence[int], outputs: Sequence[int], values: Sequence[float], **more: Any
    ) -> int:
        shape = {"sample_rate": RATE, "block_frames": BLOCK, "inputs": inputs, "outputs": outputs}
        self.nodes.append(CoreNode(core_type, **shape, values=values, **more))
        return len(self.nodes) - 1

    def wire(self, source: int, target: int, target_port: int = 0) -> None:
        """From the first output of a node."""
        self.routes.append(Route(CoreLink(True), source, 0, target, target_port, False))

    def begin(self) -> None:
        self.engine.submit(CoreCommit(1, CorePlan(self.nodes, self.routes, BLOCK)))
        self.engine.start()

    def render(self, blocks: int) -> Samples:
        """What the recorder hears in so many blocks: (channels, frames)."""
        assert self._heard is not None
        self.engine.step(blocks, PATIENCE_MS)
        return self._heard.read(blocks * BLOCK)

    def measure(self, blocks: int) -> tuple[float, float]:
        """ns for a block with everything in it: of this thread's own on average, and what went by in the slowest, be it
        one of the last before these."""
        taken, slowest = 0, 0.0
        for first in range(0, blocks, BLOCKS_PER_MAXIMUM):
            begin = time.thread_time_ns()
            self.engine.step(min(blocks - first, BLOCKS_PER_MAXIMUM), PATIENCE_MS)
            taken += time.thread_time_ns() - begin
            slowest = max(slowest, self.engine.status().load_maximum)
        return taken / blocks, slowest * BLOCK_NS

    def measure_node(self, place: int, blocks: int) -> tuple[float, float]:
        """ns for a block of one node alone, on average of those blocks that the core times, and the slowest ever."""
        node = self.nodes[place]
        before = node.cost()
        self.engine.step(blocks, PATIENCE_MS)
        after = node.cost()
        taken = after.average_ns * after.blocks - before.average_ns * before.blocks
        return taken / (after.blocks - before.blocks), after.maximum_ns
