"""What drains: nodes that were removed and play out what they hold.

Their inputs fade, their outputs sound on, and the stage plays the plan together with them. When nothing has been heard
of an output for so long that nothing can come any more, the audio thread lets its links go by itself (csrc/link.h), at
the same frame however late this thread looks, and tells which; what is left is cleared away like any fade.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..graph.alignment import COMPENSATION
from ..graph.plan import Plan, PlanNode, Wire
from .fading import Newcomer
from .parts import Cable, Cables, LetGo
from .scene import Scene

QUIET_S = 0.05  # half a period of the lowest tone that anybody hears is half as long
# A feedback of 0.99 at a delay of a second takes 20 minutes to die away; who removes a node wants it gone some day.
LIMIT_S = 60.0


def draining(
    plan: Plan,
    running: Mapping[Wire, bool],
    before: Collection[Wire],
    relays: Collection[PlanNode],
    leaving: Collection[PlanNode],
    newcomers: Mapping[PlanNode, Newcomer],
) -> tuple[dict[Wire, Wire], frozenset[PlanNode]]:
    """The wires that are to drain beside a plan, each with the one it goes on from; and the relays among their ends.

    That is itself; or, where its target hands its memory to a successor, the wire into that target. A target that is
    rebuilt and has nothing to hand over is a relay: it drains as well, and goes on hearing what it heard, at the level
    it had there, for as long as there is a node of its id.

    `running`: all wires so far, and whether they sound; `before`: those that drain already, with the relays there were;
    `leaving`: nodes that begin to drain.
    """
    if not before and not leaving:
        return {}, frozenset()
    sounding: dict[PlanNode, list[Wire]] = {}
    for wire, sounds in running.items():
        if sounds:
            sounding.setdefault(wire.source, []).append(wire)
    going_on = (wire.source for wire in before if wire.source not in relays or wire.source.id in plan.nodes)
    look_at = [*dict.fromkeys((*going_on, *leaving))]
    sources = set(look_at)
    relaying = sources.intersection(relays)
    found: dict[Wire, Wire] = {}
    for source in look_at:  # grows
        for wire in sounding.get(source, ()):
            heir = wire if plan.has(wire.target) else _into_successor(wire, plan, newcomers)
            if heir is not None:
                found[heir] = wire
            elif wire.target in sources:
                found[wire] = wire
            elif wire.target.spec is COMPENSATION:
                found[wire] = wire
                sources.add(wire.target)
                look_at.append(wire.target)
            elif wire.target.id in plan.nodes and not wire.target.is_sink:
                found[wire] = wire
                sources.add(wire.target)
                relaying.add(wire.target)
                look_at.append(wire.target)
    return {wire: found[wire] for wire in leading_on(found, plan)}, frozenset(relaying)


def _into_successor(wire: Wire, plan: Plan, newcomers: Mapping[PlanNode, Newcomer]) -> Wire | None:
    """The same wire into the node object that takes over the memory of its target."""
    successor = plan.nodes.get(wire.target.id)
    newcomer = newcomers.get(successor) if successor is not None else None
    if successor is None or newcomer is None or newcomer.predecessor is not wire.target:
        return None
    heir = wire._replace(target=successor)
    return heir if wire.target_port < len(successor.channels.inputs) and heir.fits else None


def leading_on(wires: Collection[Wire], plan: Plan) -> frozenset[Wire]:
    """Of wires out of nodes that drain those that lead to something in the plan, be it through others that drain."""
    leading: set[Wire] = set()
    ends = [wire for wire in wires if plan.has(wire.target)]
    while ends:
        leading.update(ends)
        heard = {wire.source for wire in ends}
        ends = [wire for wire in wires if wire.target in heard and wire not in leading]
    return frozenset(leading)


def let_go(scene: Scene, frame: int) -> Scene:
    """The scene once it is known what was let go up to that frame: it fades like other wires."""
    fading: Cables = {}
    for wire in scene.draining:
        cable = scene.cables[wire]
        began = cable.link.let_go
        if cable.drain is not None and began is not None and began <= frame:
            fading[wire] = Cable(cable.link, False, LetGo(began + cable.drain.fade))
    if not fading:
        return scene
    return scene.let_go(fading, leading_on(scene.draining - fading.keys(), scene.plan))


def reaches(wires: Collection[Wire], own: Mapping[PlanNode, int]) -> dict[PlanNode, int]:
    """For how many frames each node that drains may be silent while something is still to come: what sound may spend in
    it (`own`) and in those before it."""
    feeding: dict[PlanNode, list[PlanNode]] = {}
    for wire in wires:
        if wire.target in own:
            feeding.setdefault(wire.target, []).append(wire.source)
    found: dict[PlanNode, int] = {}
    waiting = [wire.source for wire in wires]
    while waiting:
        node = waiting[-1]
        unknown = [source for source in feeding.get(node, ()) if source not in found]
        if unknown:
            waiting += unknown
            continue
        waiting.pop()
        found[node] = own.get(node, 0) + max((found[source] for source in feeding.get(node, ())), default=0)
    return found
