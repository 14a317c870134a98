"""Which cables there are after a change, and which of them turn."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from ..graph.plan import Plan, PlanNode, Wire
from .core import CoreLink
from .fading import Newcomer, fading
from .parts import Cable, Cables, Change, Order, Part, Parts
from .scene import Scene


def predecessor(node: PlanNode, order: Order, scene: Scene, part: Part) -> Part | None:
    """The part whose state a new one takes over."""
    before = scene.plan.nodes.get(node.id)
    begins_anew = node.id in order.fresh or node.id in order.states
    fits = before is not None and before.spec is node.spec and not begins_anew and part.core.transfers
    return scene.parts[before] if before is not None and fits else None


def newcomers(scene: Scene, order: Order, made: Parts) -> dict[PlanNode, Newcomer]:
    found = {}
    for node, part in made.items():
        before = predecessor(node, order, scene, part)
        restored = node.id in order.states
        late = part.core.late or (part.core.latency > 0 and (before is not None or restored))
        empty = 0 if restored else max(0, part.core.latency - (before.core.latency if before else 0))
        found[node] = Newcomer(late, before.plan_node if before else None, restored, empty)
    return found


def turn(scene: Scene, plan: Plan, order: Order, arrived: Mapping[PlanNode, Newcomer], change: Change) -> Cables:
    """The cables whose fade begins or turns round with this change, and new ones that sound at once."""
    at_once, coming, going, ending = fading(scene, plan, arrived)
    turned = {wire: _new_cable(scene, wire, True, arrived) for wire in at_once}
    waits = _waits(coming, arrived)
    for wire in coming | going | ending:
        old = scene.cables.get(wire)
        cable = Cable(old.link, old.sounding) if old else _new_cable(scene, wire, wire in ending, arrived)
        abrupt = order.fade_frames == 0 or bool({wire.source.id, wire.target.id} & order.abrupt)
        if cable.leader and not cable.sounding and wire in ending:
            turned[wire] = cable  # on its way out already
        else:
            wait = waits.get((wire.target, wire.target_port), 0) if wire in coming or wire in going else 0
            by = None if abrupt and not wait else change
            turned[wire] = replace(cable, sounding=wire in coming, turned_by=by, wait=wait)
    change.wait_frames = max(waits.values(), default=0)
    return turned


def _waits(coming: Collection[Wire], arrived: Mapping[PlanNode, Newcomer]) -> dict[tuple[PlanNode, int], int]:
    """Per input how long the exchange of what goes for what comes is put off: until the memory of a newcomer that is
    late by some frames is full, and what it gives is sound."""
    waits: dict[tuple[PlanNode, int], int] = {}
    for wire in coming:
        newcomer = arrived.get(wire.source)
        if newcomer is not None and newcomer.empty:
            end = (wire.target, wire.target_port)
            waits[end] = max(waits.get(end, 0), newcomer.empty)
    return waits


def _new_cable(scene: Scene, wire: Wire, sounding: bool, arrived: Mapping[PlanNode, Newcomer]) -> Cable:
    """Into a successor it begins where the one into its predecessor is, if that is in the middle of a fade."""
    newcomer = arrived.get(wire.target)
    if newcomer and newcomer.predecessor:
        leader = scene.cables.get(wire._replace(target=newcomer.predecessor))
        if leader and leader.turned_by:
            return Cable(CoreLink(leader.sounding), leader.sounding, leader.turned_by, leader.link)
    return Cable(CoreLink(sounding), sounding)
