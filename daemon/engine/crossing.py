"""Where old and new ways cross.

While what leaves fades out beside what comes, both are in one plan, and together they may close a loop that neither has
alone: when two processors change their order, say. Then some node has to be two for a while, one for each way: another
node object takes its place, with its state, and both fade against each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..graph.plan import Plan, PlanNode, Wire


class Crossing(Exception):
    """The change closes a loop with what leaves, unless the nodes of these ids are made anew."""

    def __init__(self, node_ids: frozenset[str]) -> None:
        super().__init__(f"old and new connections cross at {', '.join(sorted(node_ids))}")
        self.node_ids = node_ids


def crossing(plan: Plan, running: Collection[Wire], wires: Collection[Wire]) -> Crossing:
    """Which nodes to make anew next; what comes of it may have loops left. `wires`: those of the plan and those still
    heard; they close a loop. `running`: those there were before.

    A loop changes from new ways to old ones and back. It is cut where a new way comes in and an old one goes out, or
    the other way round: at a single node if there is one, else at a row of them, joined by ways that are both.
    """
    looping = _between_loops(wires)
    within = [wire for wire in wires if wire.source in looping and wire.target in looping]
    new = [wire for wire in within if wire not in running]
    old = [wire for wire in within if wire not in plan.wires]
    into_old = {wire.target for wire in new} & {wire.source for wire in old}
    into_new = {wire.target for wire in old} & {wire.source for wire in new}
    before_old = {wire.target for wire in within if wire in plan.wires} & {wire.source for wire in old}
    # One that compensates for latency (graph/alignment.py) is made anew with the node that it holds back.
    return Crossing(frozenset(node.id.partition(".")[0] for node in into_old or into_new or before_old))


class Ways:
    """Where wires lead."""

    def __init__(self, wires: Iterable[Wire]) -> None:
        self._onward: dict[PlanNode, list[PlanNode]] = {}
        for wire in wires:
            self.add(wire)

    def add(self, wire: Wire) -> None:
        self._onward.setdefault(wire.source, []).append(wire.target)

    def lead(self, start: PlanNode, end: PlanNode) -> bool:
        """Whether there is a way from one node to the other."""
        look_at, seen = [start], {start}
        while look_at:
            for target in self._onward.get(look_at.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    look_at.append(target)
        return end in seen


def _between_loops(wires: Collection[Wire]) -> set[PlanNode]:
    """The nodes in loops, and those on ways from loop to loop: what is left when dead ends are taken away."""
    forward: dict[PlanNode, set[PlanNode]] = {}
    for wire in wires:
        forward.setdefault(wire.source, set()).add(wire.target)
        forward.setdefault(wire.target, set())
    backward: dict[PlanNode, set[PlanNode]] = {node: set() for node in forward}
    for source, targets in forward.items():
        for target in targets:
            backward[target].add(source)
    for onward, back in ((forward, backward), (backward, forward)):
        ends = [node for node, targets in onward.items() if not targets]
        while ends:
            end = ends.pop()
            del onward[end]
            for before in back.pop(end):
                onward[before].discard(end)
                if not onward[before]:
                    ends.append(before)
    return set(forward)
