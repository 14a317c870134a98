"""What is on stage: the node objects and links that run, and how to get from there to the next plan.

`prepare` compares a plan with a scene and makes what is new; `submit` hands it to the engine as one commit: new wires
fade in, leaving ones fade out, kept nodes are shared. Leaving nodes and wires ride along until their fade is over;
`sweep` then commits a plan without them. Everything here is on the loop's thread.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from ..graph.plan import Plan, PlanNode, Wire
from .core import CoreCommit, CoreEngine, CoreError, CoreLink, CoreNode, CorePlan, EngineEvent
from .core_probes import Probe
from .crossing import crossing
from .fading import Newcomer, fading
from .node_state import restore
from .parts import Cable, Cables, Change, Order, Outside, Part, Parts, Settings
from .probes import Probes
from .scene import Prepared, Scene


class Stage:
    """What runs, and how it changes. `open_outside` makes what stands behind a node with a ring."""

    def __init__(self, engine: CoreEngine, open_outside: Callable[[PlanNode, Mapping[str, Any]], Outside]) -> None:
        self.engine = engine
        self.scene = Scene()
        self.probes = Probes()
        self._open_outside = open_outside
        self._not_before = 0  # the frame of the last change with a date that the present scene relies on
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

    def prepare(self, plan: Plan, order: Order, scene: Scene) -> Prepared:
        """Makes ready what leads from a scene to a plan, and changes nothing. Of `order.spare` the parts that are not
        used again are closed, unless this fails.

        It fails with CoreError where memory is lacking, and with `Crossing` where the plan is to be made again, with
        other objects for some nodes.
        """
        change = Change(asyncio.get_running_loop().create_future(), order.fade_frames)
        if plan is scene.plan:
            commit = CoreCommit(next(self._numbers), None)
            _set_values(commit, order, scene)
            self.close(order.spare)
            return Prepared(commit, change, scene)
        made: Parts = {}
        try:
            for node in sorted(plan.objects.difference(scene.parts), key=lambda node: node.id):
                made[node] = self._make(node, order)
            turned = _turn(scene, plan, order, made, change)
            after = scene.changed(plan, made, turned, order.pacer)
            commit = CoreCommit(next(self._numbers), self._build_first(scene, after))
            _set_values(commit, order, scene)
            carried = _transfer(commit, order, scene, made)
            self.probes.follow(commit, made.values())
            if after.pacer is not scene.pacer:
                commit.pace(after.parts[after.pacer].core if after.pacer else None)
            for cable in turned.values():
                if cable.leader:
                    commit.follow(cable.link, cable.leader)
                if cable.turned_by is change or not cable.leader:
                    commit.fade(cable.link, cable.sounding, order.fade_frames if cable.turned_by else 0)
        except BaseException:
            self.close(part for part in made.values() if not _is_spare(part, order))
            raise
        change.made = list(made.values())
        change.silenced = [scene.parts[node] for node in scene.plan.objects - plan.objects if node.is_sink]
        change.gone = scene.gone(after)
        self.close(part for part in order.spare if not any(part.core is other.core for other in change.made))
        return Prepared(commit, change, after, change.made, carried)

    def submit(self, prepared: Prepared, due: int = 0) -> None:
        """Hands a change to the engine: to be adopted at the next block boundary, or at the first at or after frame
        `due`. Where this fails (CoreError: too many are under way) nothing has changed.

        The scene stays as it is until `enter`.
        """
        commit = prepared.commit
        commit.at(max(due, self._not_before))
        self._changes[commit.number] = prepared.change
        try:
            self.engine.submit(commit)
        except BaseException:
            del self._changes[commit.number]
            raise

    def enter(self, prepared: Prepared, due: int = 0) -> None:
        """From now on what is planned starts from this change, which was submitted and can't be taken back."""
        self.scene = prepared.scene
        self.probes.followed(prepared.made)
        self._not_before = max(due, self._not_before)

    def withdraw(self, prepared: Prepared) -> bool:
        """Takes back a change that was submitted and not entered; False: it is too late. The parts made for it are the
        caller's."""
        if not prepared.commit.withdraw():
            return False
        del self._changes[prepared.commit.number]
        return True

    def close(self, parts: Iterable[Part]) -> None:
        """Ends what stands behind parts that never sounded."""
        for part in parts:
            part.close(0)
            if part.outside is not None and part.started:
                self._ending.append(part.outside)

    def change_to(self, plan: Plan, order: Order) -> Prepared:
        """Prepares, submits and enters a change; fails as these do."""
        prepared = self.prepare(plan, order, self.scene)
        try:
            self.submit(prepared)
        except BaseException:
            self.close(prepared.made)
            raise
        self.enter(prepared)
        return prepared

    def _make(self, node: PlanNode, order: Order) -> Part:
        settings = order.settings[node]
        spare = next((part for part in order.spare if part.could_be(node, settings)), None)
        if spare is not None:
            return replace(spare, plan_node=node)
        outside = self._open_outside(node, settings.config) if node.spec.core_type.startswith("ring_") else None
        try:
            core = self.core_node(node, settings, outside)
            if node.id in order.states:
                restore(node.id, core, order.states[node.id], order.fade_frames)
        except BaseException:
            if outside:
                outside.close()
            raise
        return Part(node, settings, core, outside)

    def core_node(self, node: PlanNode, settings: Settings, outside: Outside | None = None) -> CoreNode:
        return CoreNode(
            node.spec.core_type,
            sample_rate=self.engine.sample_rate,
            block_frames=self.engine.block_frames,
            inputs=tuple(node.channels.inputs.values()),
            outputs=tuple(node.channels.outputs.values()),
            values=settings.values,
            list_count=settings.list_count,
            ring=outside.ring if outside else None,
            tag=next(self._numbers),
        )

    def hang(self, probe: Probe, node_id: str, fits: Callable[[Part], bool]) -> asyncio.Future[int]:
        """Hangs a probe on a node, which it follows to objects that fit it; gives the frame to come."""
        commit = CoreCommit(next(self._numbers), None)
        self.probes.come(commit, probe, self.part(node_id), fits)
        return self._submit_aside(commit)

    def take_down(self, probe: Probe) -> asyncio.Future[int]:
        commit = CoreCommit(next(self._numbers), None)
        self.probes.go(commit, probe)
        return self._submit_aside(commit)

    def copy_state(self, source: CoreNode, target: CoreNode) -> asyncio.Future[int]:
        """Lets the engine copy what sound has left in a node, as it is at a block boundary, into another like it.

        Gives the boundary's frame, once all is copied. CoreError: another copy is under way, or too much else is.
        """
        commit = CoreCommit(next(self._numbers), None)
        commit.copy(source, target)
        return self._submit_aside(commit)

    def _submit_aside(self, commit: CoreCommit) -> asyncio.Future[int]:
        """What changes no scene. Gives the frame to come."""
        change = Change(asyncio.get_running_loop().create_future())
        self._changes[commit.number] = change
        try:
            self.engine.submit(commit)
        except BaseException:
            del self._changes[commit.number]
            raise
        return change.frame

    def _build_first(self, scene: Scene, after: Scene) -> CorePlan:
        """The plan with all that fades."""
        try:
            return self._build(after)
        except CoreError as error:
            if not error.is_loop:
                raise
            heard = after.plan.wires | (scene.cables.keys() & after.cables.keys())
            raise crossing(after.plan, scene.cables, heard) from error

    def _build(self, scene: Scene) -> CorePlan:
        return CorePlan.of_arrays(scene.routing.handles, scene.routing.routes, self.engine.block_frames)

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

    @property
    def is_swept(self) -> bool:
        """Whether there is nothing to be cleared away, or not yet."""
        end = self.next_end
        return end is None or end > self.engine.frame

    def sweep(self) -> None:
        """Commits a plan without what has faded out, and with what has faded in read by pointer again."""
        if self.is_swept:
            return
        after = self.scene.settled(self.engine.frame)
        commit = CoreCommit(next(self._numbers), self._build(after))
        change = Change(asyncio.get_running_loop().create_future())
        change.gone = self.scene.gone(after)
        prepared = Prepared(commit, change, after)
        self.submit(prepared)
        self.enter(prepared)


def _is_spare(part: Part, order: Order) -> bool:
    return any(part.core is spare.core for spare in order.spare)


def _set_values(commit: CoreCommit, order: Order, scene: Scene) -> None:
    for node, settings in order.settings.items():
        if node in scene.parts:
            commit.set(scene.parts[node].core, settings.values, order.ramp_frames)


def _transfer(commit: CoreCommit, order: Order, scene: Scene, made: Parts) -> dict[str, bool]:
    carried = {}
    for node, part in made.items():
        before = scene.plan.nodes.get(node.id)
        if before is None or (part.outside and before.spec is node.spec):
            continue  # a player or recorder that begins anew has nothing to hand over
        predecessor = _predecessor(node, order, scene, part)
        if predecessor is not None:
            commit.transfer(predecessor.core, part.core)
        carried[node.id] = predecessor is not None or node.id in order.states
    return carried


def _predecessor(node: PlanNode, order: Order, scene: Scene, part: Part) -> Part | None:
    """The part whose state a new one takes over."""
    before = scene.plan.nodes.get(node.id)
    begins_anew = node.id in order.fresh or node.id in order.states
    fits = before is not None and before.spec is node.spec and not begins_anew and part.core.transfers
    return scene.parts[before] if before is not None and fits else None


def _turn(scene: Scene, plan: Plan, order: Order, made: Parts, change: Change) -> Cables:
    """The cables whose fade begins or turns round with this change, and new ones that sound at once."""
    newcomers = {}
    for node, part in made.items():
        before = _predecessor(node, order, scene, part)
        newcomers[node] = Newcomer(part.core.late, before.plan_node if before else None, node.id in order.states)
    at_once, coming, going, ending = fading(scene, plan, newcomers)
    turned = {wire: _new_cable(scene, wire, True, newcomers) for wire in at_once}
    for wire in coming | going | ending:
        old = scene.cables.get(wire)
        cable = Cable(old.link, old.sounding) if old else _new_cable(scene, wire, wire in ending, newcomers)
        abrupt = order.fade_frames == 0 or bool({wire.source.id, wire.target.id} & order.abrupt)
        if cable.leader and not cable.sounding and wire in ending:
            turned[wire] = cable  # on its way out already
        else:
            turned[wire] = replace(cable, sounding=wire in coming, turned_by=None if abrupt else change)
    return turned


def _new_cable(scene: Scene, wire: Wire, sounding: bool, newcomers: Mapping[PlanNode, Newcomer]) -> Cable:
    """Into a successor it begins where the one into its predecessor is, if that is in the middle of a fade."""
    newcomer = newcomers.get(wire.target)
    if newcomer and newcomer.predecessor:
        leader = scene.cables.get(wire._replace(target=newcomer.predecessor))
        if leader and leader.turned_by:
            return Cable(CoreLink(leader.sounding), leader.sounding, leader.turned_by, leader.link)
    return Cable(CoreLink(sounding), sounding)
