"""What is on stage: the node objects and links that run, and how to get from there to the next plan.

`prepare` compares a plan with a scene and makes what is new; `submit` hands it to the engine as one commit: new wires
fade in, leaving ones fade out, kept nodes are shared. Leaving nodes and wires ride along until their fade is over;
`sweep` then commits a plan without them. Everything here is on the loop's thread.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ..graph.plan import Plan, PlanNode, Wire
from .cabling import newcomers, predecessor, turn
from .core import CoreCommit, CoreEngine, CoreError, CoreLink, CoreNode, CorePlan, EngineEvent
from .core_probes import Probe
from .crossing import crossing
from .draining import LIMIT_S, QUIET_S, draining, let_go, reaches
from .fading import Newcomer
from .node_state import restore
from .parts import Cable, Change, Drain, Order, Outside, Part, Parts, Settings
from .probes import Probes
from .scene import Draining, Prepared, Scene

LOOK_S = 0.1  # how often to look whether what drains has been let go


class _After(NamedTuple):
    """What a change of the plan comes to."""

    core_plan: CorePlan
    scene: Scene
    turned: Sequence[Cable]  # those whose fade begins or turns round, and new ones
    drained: Sequence[Cable]  # those that begin to drain


class Stage:
    """What runs, and how it changes. `open_outside` makes what stands behind a node with a ring."""

    def __init__(self, engine: CoreEngine, open_outside: Callable[[PlanNode, Mapping[str, Any]], Outside]) -> None:
        self.engine = engine
        self.scene = Scene()
        self.probes = Probes()
        self.known = 0  # the frame up to which all is known that the engine did
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

        What comes of it depends on the order, the scene, and what had faded and drained by the frame that is `known`;
        not on when this was cleared away.
        """
        change = Change(asyncio.get_running_loop().create_future(), order.fade_frames)
        if plan is scene.plan:
            commit = CoreCommit(next(self._numbers), None)
            _set_values(commit, order, scene)
            self.close(order.spare)
            return Prepared(commit, change, scene, self.known)
        running, scene = scene, _as_of(scene, self.known)
        made: Parts = {}
        try:
            for node in sorted(plan.objects.difference(scene.parts), key=lambda node: node.id):
                made[node] = self._make(node, order)
            after = self._rewire(plan, order, scene, made, change)
            commit = CoreCommit(next(self._numbers), after.core_plan)
            _set_values(commit, order, scene)
            carried = _transfer(commit, order, scene, made)
            self.probes.follow(commit, made.values())
            if order.pacer is not scene.pacer:
                commit.pace(after.scene.parts[order.pacer].core if order.pacer else None)
            for cable in after.turned:
                if cable.leader:
                    commit.follow(cable.link, cable.leader)
                if cable.turned_by is change or not cable.leader:
                    commit.fade(cable.link, cable.sounding, order.fade_frames if cable.turned_by else 0, cable.wait)
            for cable in after.drained:
                if cable.drain:
                    commit.drain(cable.link, *cable.drain)
        except BaseException:
            self.close(part for part in made.values() if not _is_spare(part, order))
            raise
        change.made = list(made.values())
        change.silenced = [scene.parts[node] for node in scene.plan.objects - plan.objects if node.is_sink]
        change.gone = running.gone(after.scene)
        self.close(part for part in order.spare if not any(part.core is other.core for other in change.made))
        return Prepared(commit, change, after.scene, self.known, change.made, carried)

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
        """Hangs a probe on a node, which it follows to objects that fit it; gives the frame to come. Where this fails
        (CoreError) it hangs nowhere."""
        commit, part = CoreCommit(next(self._numbers), None), self.part(node_id)
        probe.come(commit, part.core)
        frame = self._submit_aside(commit)
        self.probes.hung(probe, part, fits)
        return frame

    def take_down(self, probe: Probe) -> asyncio.Future[int]:
        """Where this fails (CoreError) it hangs where it did."""
        commit = CoreCommit(next(self._numbers), None)
        probe.go(commit)  # from wherever it is; from nowhere that is nothing
        frame = self._submit_aside(commit)
        self.probes.gone(probe)
        return frame

    def copy_states(self, pairs: Iterable[tuple[CoreNode, CoreNode]]) -> asyncio.Future[int]:
        """Lets the engine copy what sound has left in nodes, as it is at one block boundary, into others like them.

        Gives the boundary's frame, once all is copied. CoreError: other copies are under way, or too much else is.
        """
        commit = CoreCommit(next(self._numbers), None)
        for source, target in pairs:
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

    def _rewire(self, plan: Plan, order: Order, scene: Scene, made: Parts, change: Change) -> _After:
        """What becomes of the wires, and the core's plan with all that fades and drains."""
        arrived = newcomers(scene, order, made)
        leaving = {scene.plan.nodes[name] for name in order.drains} - plan.objects
        drains, relays = self._drains(plan, scene, leaving, arrived)
        while True:
            played = Draining(plan, frozenset(drains)) if drains else plan
            turned = turn(scene, played, order, arrived, change)
            drained = self._drain(scene, order, drains, leaving)
            after = scene.changed(
                plan, made, {**turned, **drained}, pacer=order.pacer, draining=frozenset(drains), relays=relays
            )
            try:
                core_plan = self._build(after)
            except CoreError as error:
                if not error.is_loop:
                    raise
                if drains:  # what drains crosses what comes: then it fades instead
                    drains, relays = {}, frozenset()
                    continue
                heard = plan.wires | (scene.cables.keys() & after.cables.keys())
                raise crossing(plan, scene.cables, heard) from error
            change.drained = [scene.parts[node] for node in leaving if played.has(node)]
            heirs = {wire: cable for wire, cable in drained.items() if wire not in scene.cables}
            begun = [cable for wire, cable in drained.items() if scene.cables[drains[wire]].drain is None]
            return _After(core_plan, after, [*{**turned, **heirs}.values()], begun)

    def _drains(
        self, plan: Plan, scene: Scene, leaving: Collection[PlanNode], arrived: Mapping[PlanNode, Newcomer]
    ) -> tuple[dict[Wire, Wire], frozenset[PlanNode]]:
        """What is to drain (draining.py); hardly ever anything, and only then is everything looked at."""
        if not scene.draining and not leaving:
            return {}, frozenset()
        running = {wire: cable.sounding for wire, cable in scene.cables.items()}
        return draining(plan, running, scene.draining, scene.relays, leaving, arrived)

    def _drain(
        self, scene: Scene, order: Order, drains: Mapping[Wire, Wire], leaving: Collection[PlanNode]
    ) -> dict[Wire, Cable]:
        """The cables that begin to drain, and those that go on doing so into a successor."""
        for node in leaving:
            part = scene.parts[node]
            part.reach = part.core.reach(order.drains[node.id].values)
            if part.outside is not None:
                part.reach = part.outside.ring.capacity
        sources = {wire.source for wire in drains}
        reach = reaches(drains, {node: max((part := scene.parts[node]).reach, part.core.latency) for node in sources})
        cables = {}
        for wire, origin in drains.items():
            cable = scene.cables[origin]
            quiet, limit = (round(seconds * self.engine.sample_rate) for seconds in (QUIET_S, LIMIT_S))
            quiet += reach[wire.source]
            begins = cable.drain is None and wire.target not in sources
            drain = Drain(quiet, quiet + limit, order.fade_frames) if begins else cable.drain
            if wire not in scene.cables:
                cables[wire] = Cable(CoreLink(True), True, cable.turned_by, cable.link, drain=drain)
            elif begins:
                cables[wire] = replace(cable, leader=None, drain=drain)
        return cables

    def _build(self, scene: Scene) -> CorePlan:
        return CorePlan.of_arrays(scene.routing.handles, scene.routing.routes, self.engine.block_frames)

    # ---- Afterwards --------------------------------------------------------------------------------------------------

    def adopted(self, event: EngineEvent) -> asyncio.Future[int]:
        """The engine carried a commit out: dates become known, and recorders that leave learn how long they are.

        Gives back the future that `change_to` gave.
        """
        change = self._changes.pop(event.id)
        fade_ends = event.frame + change.fade_frames
        change.ends = fade_ends + change.wait_frames
        for part in change.made:
            part.adopted = event.frame
        for part in change.drained:
            part.drain()
        for part in (*change.silenced, *change.gone):
            part.close(fade_ends)
            if part.outside is not None:
                self._ending.append(part.outside)
        self._ending = [outside for outside in self._ending if not outside.join(0)]
        change.frame.set_result(event.frame)
        return change.frame

    @property
    def next_end(self) -> int | None:
        """The frame at which the next fade is over. None: none is under way."""
        ends = {change.ends for change in self.scene.turning if change.ends is not None}
        if self.scene.draining:  # nobody tells when that is over
            ends.add(self.engine.frame + round(LOOK_S * self.engine.sample_rate))
        return min(ends, default=None)

    @property
    def has_fades(self) -> bool:
        return bool(self.scene.draining or self.scene.turning)

    @property
    def is_swept(self) -> bool:
        """Whether there is nothing to be cleared away, or not yet."""
        return let_go(self.scene, self.known) is self.scene and not self.scene.over(self.known)

    def sweep(self) -> None:
        """Commits a plan without what has faded out, and with what has faded in read by pointer again."""
        after = _as_of(self.scene, self.known)
        if after is self.scene:
            return
        commit = CoreCommit(next(self._numbers), self._build(after))
        change = Change(asyncio.get_running_loop().create_future())
        change.gone = self.scene.gone(after)
        prepared = Prepared(commit, change, after, self.known)
        self.submit(prepared)
        self.enter(prepared)


def _as_of(scene: Scene, frame: int) -> Scene:
    """Without what has faded out by that frame. However often it was asked for earlier ones before, it is the same."""
    return let_go(scene, frame).settled(frame)


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
        heir_of = predecessor(node, order, scene, part)
        if heir_of is not None:
            commit.transfer(heir_of.core, part.core)
        carried[node.id] = heir_of is not None or node.id in order.states
    return carried
