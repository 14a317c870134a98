"""How late node objects are by themselves. A plan wants to know before they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from tonnetz._core import ffi, lib

from ..graph.config import flatten
from ..graph.plan import PlanNode


class Latencies:
    """Asks the core once per node object: latency depends on what the object is built for."""

    def __init__(self, sample_rate: int, block_frames: int) -> None:
        self._sample_rate = sample_rate
        self._block_frames = block_frames
        self._known: WeakKeyDictionary[PlanNode, int] = WeakKeyDictionary()
        self._late_types: dict[str, bool] = {}

    def of(self, node: PlanNode, config: Mapping[str, Any]) -> int:
        """In frames."""
        core_type = node.spec.core_type
        late = self._late_types.get(core_type)
        if late is None:  # most types never are, and a graph has many nodes
            late = self._late_types[core_type] = bool(lib.tz_type_is_late(core_type.encode()))
        if not late:
            return 0
        known = self._known.get(node)
        if known is None:
            known = self._known[node] = self._ask(node, *flatten(node.spec, config))
        return known

    def _ask(self, node: PlanNode, values: Sequence[float], list_count: int) -> int:
        inputs, outputs = node.channels.inputs.values(), node.channels.outputs.values()
        return int(
            lib.tz_type_latency(
                node.spec.core_type.encode(),
                self._sample_rate,
                self._block_frames,
                list_count,
                len(inputs),
                len(outputs),
                ffi.new("uint32_t[]", [*inputs, *outputs, 0]),
                ffi.new("double[]", [*values, 0.0]),
            )
        )
