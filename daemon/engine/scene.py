"""All that runs, as a frozen value, and what becomes of it. What leaves stays while it is heard through a fade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..graph.plan import EMPTY, Plan, PlanNode, Wire
from .core import CoreCommit
from .parts import Cable, Cables, Change, LetGo, Part, Parts
from .routing import NO_ROUTING, Key, Routing, Row


class Draining(Plan):
    """A plan together with the wires that lead out of nodes which drain beside it."""

    def __init__(self, plan: Plan, wires: frozenset[Wire]) -> None:
        super().__init__(plan.nodes, plan.by_connection, plan.wires | wires)
        self.objects = plan.objects | {wire.source for wire in wires}

    def has(self, node: PlanNode) -> bool:
        return node in self.objects


@dataclass(frozen=True, eq=False)
class Scene:
    """The parts and cables that run, or will once the changes before have been adopted. Most of them rest, and an edit
    looks at no others than those that do not, and those that it reaches."""

    plan: Plan = EMPTY
    parts: Mapping[PlanNode, Part] = field(default_factory=dict)
    cables: Mapping[Wire, Cable] = field(default_factory=dict)
    leaving: frozenset[PlanNode] = frozenset()  # parts that are not in the plan any more
    restless: frozenset[Wire] = frozenset()  # cables that may be fading, and those that are not in the plan
    routing: Routing = NO_ROUTING
    pacer: PlanNode | None = None  # whose card is the engine's clock; None: the timer is
    draining: frozenset[Wire] = frozenset()  # out of nodes that are no longer in the plan (draining.py)
    relays: frozenset[PlanNode] = frozenset()  # of those the ones that were not removed, but rebuilt

    @cached_property
    def played(self) -> Plan:
        """The plan, with what drains beside it."""
        return Draining(self.plan, self.draining) if self.draining else self.plan

    def gone(self, after: Scene) -> list[Part]:
        """The parts that are not in the next scene. Sinks end by themselves, when they have heard the last."""
        left = self.leaving | (self.played.objects - after.played.objects)
        return [self.parts[node] for node in left if node not in after.parts and not node.is_sink]

    def leaves(self, plan: Plan) -> frozenset[Wire]:
        """The wires that will not be in that plan, whether they are in the present one or not."""
        return (self.played.wires - plan.wires) | (self.restless - plan.wires)

    @property
    def turning(self) -> set[Change | LetGo]:
        """What turned cables whose fades may not be over."""
        return {change for wire in self.restless if (change := self.cables[wire].turned_by)}

    def over(self, frame: int) -> dict[Wire, Cable]:
        """The cables whose fades are over by then, as they are once they rest."""
        cables = {wire: self.cables[wire] for wire in self.restless}
        return {
            wire: Cable(cable.link, cable.sounding, drain=cable.drain)
            for wire, cable in cables.items()
            if cable.turned_by and cable.is_over(frame)
        }

    def settled(self, frame: int) -> Scene:
        """Without what has faded out by then; itself where nothing has."""
        over = self.over(frame)
        if not over:
            return self
        return self.changed(self.plan, {}, over, pacer=self.pacer, draining=self.draining, relays=self.relays)

    def let_go(self, cables: Cables, draining: frozenset[Wire]) -> Scene:
        """With cables that have ceased to drain and fade now; `draining`: those that go on. What runs is the same."""
        after = replace(self, cables={**self.cables, **cables}, draining=draining)
        return replace(
            after,
            leaving=self.leaving | (self.played.objects - after.played.objects),
            restless=self.restless | (self.draining - draining),
        )

    def changed(
        self,
        plan: Plan,
        made: Parts,
        turned: Cables,
        *,
        pacer: PlanNode | None,
        draining: frozenset[Wire] = frozenset(),
        relays: frozenset[PlanNode] = frozenset(),
    ) -> Scene:
        """Under another plan, with new parts, and new or renewed cables; without what is not needed then."""
        played = Draining(plan, draining) if draining else plan
        leaving = {node for node in self.leaving | (self.played.objects - played.objects) if not played.has(node)}
        looked_at = {wire: self.cables[wire] for wire in self.restless | self.leaves(played)} | turned
        gone = leaving - _heard(looked_at, leaving)
        cut = {
            wire
            for wire, cable in looked_at.items()
            if wire.source in gone or wire.target in gone or not _is_wanted(wire, cable, played, leaving)
        }
        parts, cables = {**self.parts, **made}, {**self.cables, **turned}
        rows = {_key(wire, parts): _row(wire, cable, parts) for wire, cable in turned.items() if wire not in cut}
        routing = self.routing.changed(
            [parts[node].core.tag for node in gone],
            [part.core for part in made.values()],
            [_key(wire, parts) for wire in cut | turned.keys() if wire in self.cables],
            rows,
        )
        for node in gone:
            del parts[node]
        for wire in cut:
            del cables[wire]
        restless = {wire for wire, cable in looked_at.items() if cable.turned_by or wire not in played.wires} - cut
        return Scene(
            plan, parts, cables, frozenset(leaving - gone), frozenset(restless), routing, pacer, draining, relays
        )


@dataclass(frozen=True, eq=False)
class Prepared:
    """A change that is ready to be submitted, and what is on stage after it."""

    commit: CoreCommit
    change: Change
    scene: Scene
    known: int  # the frame up to which it was known what had become of the sound: all that it does depends on that
    made: Sequence[Part] = ()
    # Per node that was made anew under its id: whether the state of its predecessor goes over.
    carried: Mapping[str, bool] = field(default_factory=dict)


def _heard(cables: Mapping[Wire, Cable], leaving: set[PlanNode]) -> set[PlanNode]:
    """The nodes that are heard through a fade."""
    heard: set[PlanNode] = set()
    feeds: dict[PlanNode, list[PlanNode]] = {}
    for wire, cable in cables.items():
        if cable.turned_by and wire.target.is_sink:
            heard |= {wire.source, wire.target}
        elif cable.turned_by and wire.target not in leaving:
            heard.add(wire.source)
        if wire.target in leaving:
            feeds.setdefault(wire.target, []).append(wire.source)
    look_at = list(heard)
    while look_at:
        for source in feeds.get(look_at.pop(), ()):
            if source not in heard:
                heard.add(source)
                look_at.append(source)
    return heard


def _is_wanted(wire: Wire, cable: Cable, plan: Plan, leaving: set[PlanNode]) -> bool:
    """Whether it has to run, if its ends do."""
    return wire in plan.wires or cable.turned_by is not None or (cable.sounding and wire.target in leaving)


def _key(wire: Wire, parts: Mapping[PlanNode, Part]) -> Key:
    """A wire's place in the sum that it goes into: the same however the graph came about, so that it sounds the same,
    to the bit. The tags tell apart what is the same in all else."""
    source, target = wire.source, wire.target
    tags = (parts[source].core.tag, parts[target].core.tag)
    return source.id, wire.source_port, wire.way, source.generation, *tags, wire.target_port


def _row(wire: Wire, cable: Cable, parts: Mapping[PlanNode, Part]) -> Row:
    source, target = parts[wire.source].core.tag, parts[wire.target].core.tag
    fading = cable.turned_by is not None or not cable.sounding or cable.drain is not None
    return Row(cable.link, source, wire.source_port, target, wire.target_port, fading)
