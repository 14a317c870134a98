"""Which connections fade, and which way, when one plan takes over from another.

A connection that comes or goes fades. Into a new processor it sounds at once, though, and into a leaving one to the
end: there what the processor gives out fades. That is not enough where what comes in may come out after the fade, in a
delay, say. One that begins with nothing in its memory fades at its inputs instead. One that takes a predecessor's
memory over goes on with what this one heard: it may not break off there, or that is heard later. One that begins with a
saved memory hears what comes in now behind what it heard then: both fade there, and what it gives out does too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..graph.plan import Plan, PlanNode, Wire
from .crossing import Ways
from .scene import Scene


class Newcomer(NamedTuple):
    """A node object that was made for the plan. `late`: what comes in may come out when a fade is over."""

    late: bool
    predecessor: PlanNode | None  # whose memory it takes over
    restored: bool = False  # it begins with a memory that was saved
    empty: int = 0  # so many frames nothing but silence comes out, as its memory has yet to be filled


class Fading(NamedTuple):
    """What becomes of wires. The others stay as they are."""

    at_once: set[Wire]  # new ones, from the first frame on
    coming: set[Wire]
    going: set[Wire]
    # Those that go though they were not there: a successor hears the last of what was heard before it.
    ending: set[Wire]


def fading(scene: Scene, plan: Plan, newcomers: Mapping[PlanNode, Newcomer]) -> Fading:
    """From a scene to a plan."""
    leaving = {wire: scene.cables[wire].sounding for wire in scene.leaves(plan)}
    fresh = {
        node
        for node, newcomer in newcomers.items()
        if newcomer.late and not (newcomer.predecessor or newcomer.restored)
    }
    at_once, ending = _successions(plan, leaving, newcomers)
    coming = {wire for wire in scene.restless & plan.wires if not scene.cables[wire].sounding}
    for wire in plan.wires.difference(scene.cables) - at_once:
        newcomer = None if wire.target.is_sink else newcomers.get(wire.target)
        sounds = wire.source in fresh if newcomer is None else not newcomer.late
        if newcomer and newcomer.predecessor:
            before = scene.cables.get(wire._replace(target=newcomer.predecessor))
            sounds = sounds and (before is None or before.sounding)  # one that was on its way out turns round
        (at_once if sounds else coming).add(wire)
    going = {wire for wire, sounding in leaving.items() if sounding and (wire.target.is_sink or plan.has(wire.target))}
    return Fading(at_once, coming, going, ending)


def _successions(
    plan: Plan, leaving: Mapping[Wire, bool], newcomers: Mapping[PlanNode, Newcomer]
) -> tuple[set[Wire], set[Wire]]:
    """Into late successors: the wires that sound at once, and those that end there. A predecessor has one successor.
    `leaving`: the wires that are not in the plan any more, and whether they sound or are on their way out."""
    at_once: set[Wire] = set()
    ending: set[Wire] = set()
    successors = {newcomer.predecessor: node for node, newcomer in newcomers.items() if newcomer.late}
    ways = Ways((*plan.wires, *leaving) if successors else ())
    cut: set[tuple[PlanNode, int]] = set()  # ports where what was heard can't go on
    for wire, sounding in leaving.items():
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
