"""Which connections fade, and which way, when one plan takes over from another.

A connection that comes or goes fades. Into a new processor it sounds at once, though, and into a leaving one to the
end: there what the processor gives out fades. That is not enough where what comes in may come out after the fade, in a
delay, say. One that begins with nothing in its memory fades at its inputs instead. One that takes a predecessor's
memory over goes on with what this one heard: it may not break off there, or that is heard later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..graph.plan import Plan, PlanNode, Wire
from .crossing import Ways


class Newcomer(NamedTuple):
    """A node object that was made for the plan. `late`: what comes in may come out when a fade is over."""

    late: bool
    predecessor: PlanNode | None  # whose memory it takes over


class Fading(NamedTuple):
    """What becomes of wires. The others stay as they are."""

    at_once: set[Wire]  # new ones, from the first frame on
    coming: set[Wire]
    going: set[Wire]
    ending: set[
        Wire
    ]  # those that go though they were not there: a successor hears the last of what was heard before it


def fading(plan: Plan, running: Mapping[Wire, bool], newcomers: Mapping[PlanNode, Newcomer]) -> Fading:
    """`running`: all wires so far, and whether they sound or are on their way out."""
    fresh = {node for node, newcomer in newcomers.items() if newcomer.late and newcomer.predecessor is None}
    at_once, ending = _successions(plan, running, newcomers)
    coming = {wire for wire in plan.wires if running.get(wire) is False}
    for wire in plan.wires - running.keys() - at_once:
        newcomer = None if wire.target.is_sink else newcomers.get(wire.target)
        sounds = wire.source in fresh if newcomer is None else not newcomer.late
        if newcomer and newcomer.predecessor and running.get(wire._replace(target=newcomer.predecessor)) is False:
            sounds = False  # what led there before was on its way out: it turns round
        (at_once if sounds else coming).add(wire)
    going = {
        wire
        for wire, sounding in running.items()
        if sounding and wire not in plan.wires and (wire.target.is_sink or plan.has(wire.target))
    }
    return Fading(at_once, coming, going, ending)


def _successions(
    plan: Plan, running: Mapping[Wire, bool], newcomers: Mapping[PlanNode, Newcomer]
) -> tuple[set[Wire], set[Wire]]:
    """Into late successors: the wires that sound at once, and those that end there. A predecessor has one successor."""
    at_once: set[Wire] = set()
    ending: set[Wire] = set()
    successors = {newcomer.predecessor: node for node, newcomer in newcomers.items() if newcomer.late}
    ways = Ways((*plan.wires, *running) if successors else ())
    cut: set[tuple[PlanNode, int]] = set()  # ports where what was heard can't go on
    for wire, sounding in running.items():  # also those on their way out
        successor = successors.get(wire.target)
        if successor is None:
            continue
        heir = wire._replace(target=successor)
        if heir in plan.wires:
            at_once |= {heir} if sounding else set()  # else it turns round, and comes
        elif heir.fits and not ways.lead(successor, heir.source):
            ending.add(heir)
            ways.add(heir)
        else:
            cut.add((successor, heir.target_port))
    if cut:
        at_once |= {wire for wire in plan.wires if (wire.target, wire.target_port) in cut}
    return at_once, ending
