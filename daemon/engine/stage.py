"""What is on stage: the node objects and links that run, and how to get from there to the next plan.

`change_to` compares a plan with what runs, makes what is new, and submits one commit: new wires fade in, leaving ones
fade out, kept nodes are shared. Leaving nodes and wires ride along until their fade is over; `sweep` then commits a
plan without them. Everything here is on the loop's thread.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..graph.plan import Plan, PlanNode, Wire
from .core import CoreCommit, CoreEngine, CoreError, CoreLink, CoreNode, CorePlan, EngineEvent
from .core_probes import Probe
from .crossing import crossing
from .fading import Newcomer, fading
from .parts import Cable, Cables, Change, Order, Outside, Part, Parts
from .probes import Probes
from .scene import Scene


class Stage:
    """The parts and cables that run. `open_outside` makes what stands behind a node with a ring."""

    def __init__(self, engine: CoreEngine, open_outside: Callable[[PlanNode], Outside]) -> None:
        self.engine = engine
        self.scene = Scene()
        self.pacer: PlanNode | None = None  # whose card is the engine's clock
        self.probes = Probes()
        self._open_outside = open_outside
        self._changes: dict[int, Change] = {}  # submitted, not yet adopted
        self._numbers = itertools.count(1)
        self._ending: list[Outside] = []  # players and recorders that were told to end and may still be at work

    @property
    def plan(self) -> Plan:
        return self.scene.plan

    @property
    def parts(self) -> Mapping[PlanNode, Part]:
        return self.scene.parts

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
            for node in sorted(plan.objects.difference(self.parts), key=lambda node: node.id):
                made[node] = self._make(node, order)
            turned = self._turn(plan, order, made, change)
            scene = self.scene.changed(plan, made, turned)
            commit = CoreCommit(next(self._numbers), self._build_first(scene))
            self._set_values(commit, order)
            carried = self._transfer(commit, order, made)
            self.probes.follow(commit, made.values())
            if order.pacer is not self.pacer:
                commit.pace(scene.parts[order.pacer].core if order.pacer else None)
            for cable in turned.values():
                if cable.leader:
                    commit.follow(cable.link, cable.leader)
                if cable.turned_by is change or not cable.leader:
                    commit.fade(cable.link, cable.sounding, order.fade_frames if cable.turned_by else 0)
            change.made = list(made.values())
            change.silenced = [self.parts[node] for node in self.plan.objects - plan.objects if node.is_sink]
            change.gone = self._gone(scene)
            self._submit(commit, change)
        except BaseException:
            for part in made.values():
                part.close(0)
            raise
        self.scene, self.pacer = scene, order.pacer
        return change.frame, carried

    def _gone(self, scene: Scene) -> list[Part]:
        """The parts that are not in the next scene. Sinks end by themselves, when they have heard the last."""
        left = self.scene.leaving | (self.plan.objects - scene.plan.objects)
        return [self.parts[node] for node in left if node not in scene.parts and not node.is_sink]

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
        newcomers = {
            node: Newcomer(
                part.core.late, before.plan_node if (before := self._predecessor(node, order, part)) else None
            )
            for node, part in made.items()
        }
        at_once, coming, going, ending = fading(self.scene, plan, newcomers)
        turned = {wire: self._new_cable(wire, True, newcomers) for wire in at_once}
        for wire in coming | going | ending:
            old = self.scene.cables.get(wire)
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
            leader = self.scene.cables.get(wire._replace(target=newcomer.predecessor))
            if leader and leader.turned_by:
                return Cable(CoreLink(leader.sounding), leader.sounding, leader.turned_by, leader.link)
        return Cable(CoreLink(sounding), sounding)

    def _build_first(self, scene: Scene) -> CorePlan:
        """The plan with all that fades."""
        try:
            return self._build(scene)
        except CoreError as error:
            if not error.is_loop:
                raise
            heard = scene.plan.wires | (self.scene.cables.keys() & scene.cables.keys())
            raise crossing(scene.plan, self.scene.cables, heard) from error

    def _build(self, scene: Scene) -> CorePlan:
        return CorePlan.of_arrays(scene.routing.handles, scene.routing.routes, self.engine.block_frames)

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

    def hang(self, probe: Probe, node_id: str, fits: Callable[[Part], bool]) -> asyncio.Future[int]:
        """Hangs a probe on a node, which it follows to objects that fit it; gives the frame to come."""
        commit = CoreCommit(next(self._numbers), None)
        self.probes.come(commit, probe, self.part(node_id), fits)
        return self._submit_probing(commit)

    def take_down(self, probe: Probe) -> asyncio.Future[int]:
        commit = CoreCommit(next(self._numbers), None)
        self.probes.go(commit, probe)
        return self._submit_probing(commit)

    def _submit_probing(self, commit: CoreCommit) -> asyncio.Future[int]:
        change = Change(asyncio.get_running_loop().create_future())
        self._submit(commit, change)
        return change.frame

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
        return min((change.ends for change in self.scene.turning if change.ends is not None), default=None)

    @property
    def has_fades(self) -> bool:
        return bool(self.scene.turning)

    def sweep(self) -> None:
        """Commits a plan without what has faded out, and with what has faded in read by pointer again."""
        end = self.next_end
        if end is None or end > self.engine.frame:
            return
        scene = self.scene.settled(self.engine.frame)
        commit = CoreCommit(next(self._numbers), self._build(scene))
        change = Change(asyncio.get_running_loop().create_future())
        change.gone = self._gone(scene)
        self._submit(commit, change)
        self.scene = scene
