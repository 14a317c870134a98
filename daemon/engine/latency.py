"""How late node objects are by themselves. A plan wants to know before they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from tonnetz._core import ffi, lib

from ..graph.config import flatten
from ..graph.plan import Plan, PlanNode


class Latencies:
    """Asks the core once per node object: latency depends on what the object is built for. And nothing is asked of
    objects that were in the plan before, as an edit makes another plan of a few thousand, and few new ones."""

    def __init__(self, sample_rate: int, block_frames: int) -> None:
        self._sample_rate = sample_rate
        self._block_frames = block_frames
        self._known: WeakKeyDictionary[Plan, Mapping[PlanNode, int]] = WeakKeyDictionary()
        self._late_types: dict[str, bool] = {}

    def late(
        self, plan: Plan, before: Plan, config_of: Callable[[PlanNode], Mapping[str, Any]]
    ) -> Mapping[PlanNode, int]:
        """The node objects of a plan that are late, in frames."""
        known = self._known.get(before)
        kept = {node: frames for node, frames in (known or {}).items() if node in plan.objects}
        new = plan.objects if known is None else plan.objects - before.objects
        found = {node: self._ask(node, *flatten(node.spec, config_of(node))) for node in new if self._may_be_late(node)}
        self._known[plan] = late = kept | {node: frames for node, frames in found.items() if frames}
        return late

    def _may_be_late(self, node: PlanNode) -> bool:
        """Most types never are."""
        core_type = node.spec.core_type
        late = self._late_types.get(core_type)
        if late is None:
            late = self._late_types[core_type] = bool(lib.tz_type_is_late(core_type.encode()))
        return late

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
