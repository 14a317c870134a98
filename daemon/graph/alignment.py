"""Latency compensation: sounds that took ways of unlike latency meet in time.

A node that looks ahead gives its sound out later than it came in. Where its way meets another, in a sum or at the
inputs of one node, the sooner one is held back: a node of the core (`csrc/nodes/compensation.c`) that is in the plan
and not in the graph delays it by the difference. It delays one output by so many frames, for all who want it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .plan import Plan, PlanNode, Wire
from .ports import NodeChannels
from .spec import NodeSpec, ParameterSpec, PortSpec

COMPENSATION = NodeSpec(
    type="compensation",
    category="processor",
    help="Delays a short way by what a longer one is late.",
    parameters=(ParameterSpec(name="frames", kind="int", help="How many frames.", structure=True),),
    ports=(
        PortSpec(name="in", direction="input", help="The sound."),
        PortSpec(name="out", direction="output", help="The same, later."),
    ),
    core_type="compensation",
)
MOST = 1 << 20  # frames; 20 s at 48 kHz: ways that differ by more are left as they are


class Aligned(Plan):
    """A plan with what compensates for latency."""

    def __init__(
        self,
        base: Plan,
        nodes: Mapping[str, PlanNode],
        wires: Iterable[Wire],
        held_back: Mapping[PlanNode, PlanNode],
        lateness: Mapping[str, int],
    ) -> None:
        super().__init__(nodes, base.by_connection, frozenset(wires))
        self.base = base
        self.held_back = held_back  # by each node that compensates: whose sound it delays
        self.lateness = lateness


def align(base: Plan, own: Mapping[PlanNode, int], previous: Plan, compensate: bool = True) -> Plan:
    """The plan with its ways aligned; the same object if no node of it is late.

    `own`: the node objects that are late by themselves, in frames. What compensates in `previous` and still does is
    kept.
    """
    if not own:
        return base
    arrivals = _arrivals(base, own)
    late = {node: arrivals.get(node, 0) + own.get(node, 0) for node in base.nodes.values()}
    nodes, wires, held_back = dict(base.nodes), set(), {}
    for wire in base.wires:
        frames = arrivals[wire.target] - late[wire.source] if compensate else 0
        if not 0 < frames <= MOST:
            wires.add(wire)
            continue
        name = f"{wire.source.id}.{wire.source_port}+{frames}"  # no name that a node of a graph could have
        node = nodes.get(name) or _compensation(name, frames, wire, previous)
        nodes[name], held_back[node] = node, wire.source
        wires.add(Wire(wire.source, wire.source_port, node, 0))
        wires.add(wire._replace(source=node, source_port=0))
    return Aligned(base, nodes, wires, held_back, {node.id: frames for node, frames in late.items()})


def _arrivals(plan: Plan, own: Mapping[PlanNode, int]) -> dict[PlanNode, int]:
    """When sounds that set out together have all come to a node, for those that hear any; from the sources on."""
    hearing: dict[PlanNode, list[PlanNode]] = {}
    waiting: dict[PlanNode, int] = {}
    for wire in plan.wires:
        hearing.setdefault(wire.source, []).append(wire.target)
        waiting[wire.target] = waiting.get(wire.target, 0) + 1
    arrivals: dict[PlanNode, int] = {}
    ready = [node for node in hearing if node not in waiting]
    for node in ready:  # grows
        late = arrivals.get(node, 0) + own.get(node, 0)
        for target in hearing.get(node, ()):
            arrivals[target] = max(arrivals.get(target, 0), late)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return arrivals


def _compensation(name: str, frames: int, wire: Wire, previous: Plan) -> PlanNode:
    """The same as before where it delays the same node object."""
    known = previous.nodes.get(name)
    if isinstance(previous, Aligned) and known is not None and previous.held_back[known] is wire.source:
        return known
    width = list(wire.source.channels.outputs.values())[wire.source_port]
    channels = NodeChannels({"in": width}, {"out": width})
    return PlanNode(name, COMPENSATION, 0, channels, (("frames", frames),))
