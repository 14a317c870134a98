"""What is on stage: the node objects and links that run, and how to get from there to the next plan.

`change_to` compares a plan with what runs, makes what is new, and submits one commit: new wires fade in, leaving ones
fade out, kept nodes are shared. Leaving nodes and wires ride along until their fade is over; `sweep` then commits a
plan without them. Everything here is on the loop's thread.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from ..graph.plan import EMPTY, Plan, PlanNode, Wire
from .core import CoreCommit, CoreEngine, CoreError, CoreLink, CoreNode, CorePlan, EngineEvent, Ring, Route
from .crossing import crossing
from .fading import Newcomer, fading


class OutsideState(Protocol):
    """How a player or recorder is."""

    @property
    def name(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def detail(self) -> Mapping[str, Any]: ...


class Outside(Protocol):
    """What stands behind a node with a ring: a player, a recorder (daemon/endpoints)."""

    @property
    def ring(self) -> Ring: ...

    @property
    def state(self) -> OutsideState: ...

    def start(self) -> None: ...

    def configure(self, config: Mapping[str, Any]) -> None: ...

    def close(self, length: int | None = None) -> None:
        """Begin the end. `length`: of all that a recorder's ring was given, so many frames belong into the
        recording."""

    def join(self, timeout_s: float) -> bool: ...


@dataclass(eq=False)
class Part:
    """A node object on stage."""

    plan_node: PlanNode
    core: CoreNode
    outside: Outside | None
    adopted: int | None = None  # the frame of its first block, once known
    started: bool = False

    def start(self) -> None:
        """Lets the player or recorder behind it begin, if there is one and it has not."""
        if self.outside is not None and not self.started:
            self.started = True
            self.outside.start()

    def close(self, end: int) -> None:
        """Its sound is over at frame `end`."""
        if self.outside is None:
            return
        if self.plan_node.is_sink and self.adopted is not None:
            self.outside.close(max(0, end - self.adopted))
        else:
            self.outside.close()


@dataclass(eq=False)
class Change:
    """A commit under way: what to do once the engine tells at which frame it was adopted."""

    frame: asyncio.Future[int]
    fade_frames: int = 0
    made: Sequence[Part] = ()
    silenced: Sequence[Part] = ()  # sinks that hear nothing once the fade is over
    gone: Sequence[Part] = ()  # no longer in the plan
    ends: int | None = field(default=None, init=False)


@dataclass(frozen=True, eq=False)
class Cable:
    """A link on stage: which way it turned last, and the change that did it while its fade may not be over."""

    link: CoreLink
    sounding: bool
    turned_by: Change | None = None
    leader: CoreLink | None = None  # another link, in the middle of whose fade this one begins

    def is_over(self, frame: int) -> bool:
        return self.turned_by is None or (self.turned_by.ends is not None and self.turned_by.ends <= frame)


@dataclass(frozen=True)
class Order:
    """What a transaction asks of the stage, beside the plan."""

    # Flattened parameters and list count of new and changed nodes.
    values: Mapping[PlanNode, tuple[Sequence[float], int]]
    fade_frames: int
    ramp_frames: int | None  # None: each type's own
    abrupt: frozenset[str] = frozenset()  # nodes whose wires are cut without a fade
    # Nodes that begin without a predecessor's state, though there was one of their id.
    fresh: frozenset[str] = frozenset()


Parts = dict[PlanNode, Part]
Cables = dict[Wire, Cable]


class Stage:
    """The parts and cables that run. `open_outside` makes what stands behind a node with a ring."""

    def __init__(self, engine: CoreEngine, open_outside: Callable[[PlanNode], Outside]) -> None:
        self.engine = engine
        self.plan = EMPTY
        self.parts: Parts = {}
        self._cables: Cables = {}
        self._open_outside = open_outside
        self._changes: dict[int, Change] = {}  # submitted, not yet adopted
        self._numbers = itertools.count(1)
        self._ending: list[Outside] = []  # players and recorders that were told to end and may still be at work

    def part(self, node_id: str) -> Part:
        return self.parts[self.plan.nodes[node_id]]

    def end_outside(self) -> list[Outside]:
        """Ends all players and recorders at the present frame; those that are to be waited for."""
        started = [part for part in self.parts.values() if part.outside is not None and part.started]
        for part in started:
            part.close(self.engine.frame)
        return [*self._ending, *(part.outside for part in started if part.outside is not None)]

    def node_of(self, tag: int) -> str:
        """The id of the node that an event of the core names."""
        return next((part.plan_node.id for part in self.parts.values() if part.core.tag == tag), "a node that is gone")

    # ---- Changing ----------------------------------------------------------------------------------------------------

    def change_to(self, plan: Plan, order: Order) -> tuple[asyncio.Future[int], dict[str, bool]]:
        """Submits the change. Gives the frame to come, and per node made anew under its id whether its state went over.

        Where anything fails (memory, a full queue) nothing has changed. Nor has it with `Crossing`: then the plan is to
        be made again, with other objects for some nodes.
        """
        change = Change(asyncio.get_running_loop().create_future(), order.fade_frames)
        if plan is self.plan:
            commit = CoreCommit(next(self._numbers), None)
            self._set_values(commit, order)
            self._submit(commit, change)
            return change.frame, {}
        made: Parts = {}
        try:
            for node in plan.nodes.values():
                if node not in self.parts:
                    made[node] = self._make(node, order)
            turned = self._turn(plan, order, made, change)
            parts, cables = _needed(plan, {**self.parts, **made}, {**self._cables, **turned})
            commit = CoreCommit(next(self._numbers), self._build_first(plan, parts, cables))
            self._set_values(commit, order)
            carried = self._transfer(commit, order, made)
            for cable in turned.values():
                if cable.leader:
                    commit.follow(cable.link, cable.leader)
                if cable.turned_by is change or not cable.leader:
                    commit.fade(cable.link, cable.sounding, order.fade_frames if cable.turned_by else 0)
            change.made = list(made.values())
            change.silenced = [part for node, part in self.parts.items() if node.is_sink and self._leaves(node, plan)]
            change.gone = [part for node, part in self.parts.items() if node not in parts and not node.is_sink]
            self._submit(commit, change)
        except BaseException:
            for part in made.values():
                part.close(0)
            raise
        self.parts, self._cables, self.plan = parts, cables, plan
        return change.frame, carried

    def _leaves(self, node: PlanNode, plan: Plan) -> bool:
        return self.plan.has(node) and not plan.has(node)

    def _make(self, node: PlanNode, order: Order) -> Part:
        values, list_count = order.values[node]
        outside = self._open_outside(node) if node.spec.core_type.startswith("ring_") else None
        try:
            core = CoreNode(
                node.spec.core_type,
                sample_rate=self.engine.sample_rate,
                block_frames=self.engine.block_frames,
                inputs=tuple(node.channels.inputs.values()),
                outputs=tuple(node.channels.outputs.values()),
                values=values,
                list_count=list_count,
                ring=outside.ring if outside else None,
                tag=next(self._numbers),
            )
        except BaseException:
            if outside:
                outside.close()
            raise
        return Part(node, core, outside)

    def _turn(self, plan: Plan, order: Order, made: Parts, change: Change) -> Cables:
        """The cables whose fade begins or turns round with this change, and new ones that sound at once."""
        running = {wire: cable.sounding for wire, cable in self._cables.items()}
        newcomers = {
            node: Newcomer(
                part.core.late, before.plan_node if (before := self._predecessor(node, order, part)) else None
            )
            for node, part in made.items()
        }
        at_once, coming, going, ending = fading(plan, running, newcomers)
        turned = {wire: self._new_cable(wire, True, newcomers) for wire in at_once}
        for wire in coming | going | ending:
            old = self._cables.get(wire)
            cable = Cable(old.link, old.sounding) if old else self._new_cable(wire, wire in ending, newcomers)
            abrupt = order.fade_frames == 0 or bool({wire.source.id, wire.target.id} & order.abrupt)
            if cable.leader and not cable.sounding and wire in ending:
                turned[wire] = cable  # on its way out already
            else:
                turned[wire] = replace(cable, sounding=wire in coming, turned_by=None if abrupt else change)
        return turned

    def _new_cable(self, wire: Wire, sounding: bool, newcomers: Mapping[PlanNode, Newcomer]) -> Cable:
        """Into a successor it begins where the one into its predecessor is, if that is in the middle of a fade."""
        newcomer = newcomers.get(wire.target)
        if newcomer and newcomer.predecessor:
            leader = self._cables.get(wire._replace(target=newcomer.predecessor))
            if leader and leader.turned_by:
                return Cable(CoreLink(leader.sounding), leader.sounding, leader.turned_by, leader.link)
        return Cable(CoreLink(sounding), sounding)

    def _build_first(self, plan: Plan, parts: Parts, cables: Cables) -> CorePlan:
        """The plan with all that fades."""
        try:
            return self._build(parts.values(), cables)
        except CoreError as error:
            if not error.is_loop:
                raise
            raise crossing(plan, self._cables, plan.wires | self._cables.keys() & cables.keys()) from error

    def _build(self, parts: Iterable[Part], cables: Cables) -> CorePlan:
        present = list(parts)
        place = {part.plan_node: number for number, part in enumerate(present)}
        routes = [
            Route(
                cable.link,
                place[wire.source],
                wire.source_port,
                place[wire.target],
                wire.target_port,
                cable.turned_by is not None or not cable.sounding,
            )
            for wire, cable in sorted(cables.items(), key=_by_source)
        ]
        return CorePlan([part.core for part in present], routes, self.engine.block_frames)

    def _set_values(self, commit: CoreCommit, order: Order) -> None:
        for node, (values, _) in order.values.items():
            if node in self.parts:
                commit.set(self.parts[node].core, values, order.ramp_frames)

    def _transfer(self, commit: CoreCommit, order: Order, made: Parts) -> dict[str, bool]:
        carried = {}
        for node, part in made.items():
            before = self.plan.nodes.get(node.id)
            if before is None or (part.outside and before.spec is node.spec):
                continue  # a player or recorder that begins anew has nothing to hand over
            predecessor = self._predecessor(node, order, part)
            if predecessor is not None:
                commit.transfer(predecessor.core, part.core)
            carried[node.id] = predecessor is not None
        return carried

    def _predecessor(self, node: PlanNode, order: Order, part: Part) -> Part | None:
        """The part whose state a new one takes over."""
        before = self.plan.nodes.get(node.id)
        fits = before is not None and before.spec is node.spec and node.id not in order.fresh and part.core.transfers
        return self.parts[before] if before is not None and fits else None

    def _submit(self, commit: CoreCommit, change: Change) -> None:
        self._changes[commit.number] = change
        try:
            self.engine.submit(commit)
        except BaseException:
            del self._changes[commit.number]
            raise

    # ---- Afterwards --------------------------------------------------------------------------------------------------

    def adopted(self, event: EngineEvent) -> asyncio.Future[int]:
        """The engine carried a commit out: dates become known, and recorders that leave learn how long they are.

        Gives back the future that `change_to` gave.
        """
        change = self._changes.pop(event.id)
        change.ends = event.frame + change.fade_frames
        for part in change.made:
            part.adopted = event.frame
        for part in (*change.silenced, *change.gone):
            part.close(change.ends)
            if part.outside is not None:
                self._ending.append(part.outside)
        self._ending = [outside for outside in self._ending if not outside.join(0)]
        change.frame.set_result(event.frame)
        return change.frame

    @property
    def next_end(self) -> int | None:
        """The frame at which the next fade is over. None: none is under way."""
        dates = [
            cable.turned_by.ends
            for cable in self._cables.values()
            if cable.turned_by and cable.turned_by.ends is not None
        ]
        return min(dates, default=None)

    @property
    def has_fades(self) -> bool:
        return any(cable.turned_by for cable in self._cables.values())

    def sweep(self) -> None:
        """Commits a plan without what has faded out, and with what has faded in read by pointer again."""
        frame = self.engine.frame
        if not any(cable.turned_by and cable.is_over(frame) for cable in self._cables.values()):
            return
        settled = {
            wire: Cable(cable.link, cable.sounding) if cable.is_over(frame) else cable
            for wire, cable in self._cables.items()
        }
        parts, cables = _needed(self.plan, self.parts, settled)
        commit = CoreCommit(next(self._numbers), self._build(parts.values(), cables))
        change = Change(asyncio.get_running_loop().create_future())
        change.gone = [part for node, part in self.parts.items() if node not in parts and not node.is_sink]
        self._submit(commit, change)
        self.parts, self._cables = parts, cables


def _by_source(item: tuple[Wire, Cable]) -> tuple[str, int, int, int]:
    """A wire's place in the sum that it goes into. Float sums depend on their order in the last bit: this one makes a
    graph sound the same, to the bit, however it came about."""
    wire = item[0]
    return wire.source.id, wire.source_port, wire.way, wire.source.generation


def _needed(plan: Plan, parts: Parts, cables: Cables) -> tuple[Parts, Cables]:
    """What has to run: the plan's own, and what leaves for as long as it is heard through a fade."""
    stays = set(plan.nodes.values())
    heard: set[PlanNode] = set()
    feeds: dict[PlanNode, list[PlanNode]] = {}
    for wire, cable in cables.items():
        if cable.turned_by and wire.target.is_sink:
            heard |= {wire.source, wire.target}
        elif cable.turned_by and wire.target in stays:
            heard.add(wire.source)
        if wire.target not in stays:
            feeds.setdefault(wire.target, []).append(wire.source)
    look_at = list(heard)
    while look_at:
        for source in feeds.get(look_at.pop(), ()):
            if source not in heard:
                heard.add(source)
                look_at.append(source)
    kept = {node: part for node, part in parts.items() if node in stays or node in heard}
    wanted = {
        wire: cable
        for wire, cable in cables.items()
        if wire.source in kept
        and wire.target in kept
        and (wire in plan.wires or cable.turned_by or (cable.sounding and wire.target not in stays))
    }
    return kept, wanted
