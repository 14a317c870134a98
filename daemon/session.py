"""The single writer: every change of the graph goes through `Session.apply`, whole or not at all.

A transaction is worked out on frozen graphs, turned into a plan, and submitted as one commit; nothing here waits in
between, so there is nothing to lock. The reply waits for the engine to tell at which frame the commit was adopted,
while later transactions may already be on their way: many can share one block.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from .caller import Caller
from .endpoints.endpoint import EndpointState, MediaRoots, Surroundings
from .engine.card import Card
from .engine.core import ClockKind, CoreEngine, CoreError, EngineEvent, Ring
from .engine.crossing import Crossing
from .engine.parts import Order, Outside
from .engine.stage import Stage
from .event_names import EventName
from .events import Hub
from .graph.changes import changes
from .graph.config import flatten
from .graph.document import edits_between, parse_document
from .graph.edits import AddNode, AnyEdit, Connect
from .graph.model import Graph
from .graph.plan import Plan, PlanNode, make_plan, pacer
from .graph.ports import resolve_channels
from .graph.rules import Limits
from .graph.spec import Catalogue
from .graph.transaction import Accepted, apply_edits
from .history import Entry, History
from .node_catalogue import OutsideType, load_catalogue
from .probing.probing import Probing
from .problems import Problem, Refusal, refuse
from .receipt import Receipt
from .runtime import Runtime
from .view import state_of, troubles, view

log = logging.getLogger(__name__)

DEFAULT_FADE_MS = 20.0
ADOPTION_PATIENCE_S = 5.0  # a running engine adopts within a block (some ms); a machine that stalls may take seconds


class Session:
    """The graph as it is, the engine that plays it, and those who want to know. On the event loop's thread
    throughout."""

    def __init__(
        self,
        *,
        sample_rate: int = 48000,
        block_frames: int = 256,
        clock: ClockKind = "internal",
        realtime_priority: int = 0,
        media: MediaRoots | None = None,
        pacing: str = "",
        offline: bool = False,
    ) -> None:
        """`pacing` names the node whose sound card is the clock, "auto": the first that can be, "": none. `offline`: no
        sound card is opened."""
        self.graph = Graph()
        self.revision = 0
        self.events = Hub()
        self.history = History()
        self.limits = Limits()
        self.catalogue: Catalogue
        self._outside_types: dict[str, OutsideType]
        self.catalogue, self._outside_types = load_catalogue()
        self.media = media or MediaRoots()
        self.pacing = pacing
        self._make_card = None if offline else functools.partial(Card, realtime_priority=realtime_priority)
        self.engine = CoreEngine(sample_rate, block_frames, clock, realtime_priority)
        self.stage = Stage(self.engine, self._open_outside)
        self.runtime = Runtime(self)
        self.probing = Probing(self)
        self._generations: dict[str, int] = {}
        self._opening = self.graph  # the graph whose nodes are being made
        self._to_tell: dict[asyncio.Future[int], Callable[[int], None]] = {}  # what to tell when a change is adopted
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.engine.event_fd, self._hear_engine)

    async def close(self) -> None:
        """Stops the engine; every file is finished when this returns."""
        self.probing.close()
        await self.runtime.stop()
        if self._sweep_timer:
            self._sweep_timer.cancel()
        self._loop.remove_reader(self.engine.event_fd)

    def view(self) -> dict[str, Any]:
        """The graph with what is known of its nodes (daemon/view.py)."""
        return view(self)

    def troubles(self) -> list[dict[str, str]]:
        """The nodes that neither run nor are bypassed on purpose."""
        return troubles(self)

    # ---- Transactions ------------------------------------------------------------------------------------------------

    async def apply(
        self,
        edits: Sequence[AnyEdit],
        *,
        caller: Caller,
        base_revision: int | None = None,
        strict: bool = False,
        fade_ms: float | None = None,
        label: str = "",
        dry_run: bool = False,
    ) -> Receipt:
        """Applies all edits at one block boundary, or raises a Refusal and changes nothing.

        `fade_ms` (0 to 1000) holds for structure and parameters alike; None: 20 ms for structure, parameters as each
        type finds right. With a stale `base_revision` the edits are applied if they still hold by themselves.
        """
        accepted = self._accept(edits, base_revision, strict)
        self._check_outside(accepted)
        before, after = self.graph, accepted.graph
        generations = self._next_generations(accepted)
        fresh = frozenset(edit.id for edit in edits if isinstance(edit, AddNode) and edit.id is not None)
        plan, order = self._plan(accepted, generations, fade_ms, fresh)
        if dry_run:
            return self._receipt(self.revision, self.engine.frame, edits, accepted, {})
        self._opening = after
        anew: frozenset[str] = frozenset()
        while True:
            try:
                adopted, carried = self.stage.change_to(plan, order)
                break
            except Crossing as crossing:
                anew |= crossing.node_ids
                plan, order = self._plan(accepted, generations, fade_ms, fresh, anew)
            except CoreError as error:
                message = f"The engine could not take the change: {error}. Nothing was changed; try again."
                raise Refusal("unavailable", message) from error
        self.graph = after
        self.revision += 1
        self._generations = generations
        revision = self.revision
        self.history.add(
            Entry(revision=revision, author=caller.name, label=label, edits=tuple(edits), inverse=accepted.inverse)
        )
        self._tell_outside(before, after, accepted.touched | accepted.reshaped)
        # Not after the await below: whoever asked may hang up meanwhile, and all others are to be told none the less.
        self._to_tell[adopted] = lambda frame: self._publish(before, accepted, revision, frame, caller, label)
        self._hear_engine()  # with no audio thread running it is adopted already
        frame = await self._adoption(adopted, revision)
        return self._receipt(revision, frame, edits, accepted, carried)

    async def load(
        self,
        document: Any,
        *,
        caller: Caller,
        base_revision: int | None = None,
        strict: bool = False,
        fade_ms: float | None = None,
        label: str = "",
    ) -> Receipt:
        """One transaction from the present graph to the document's; nodes they have in common are kept."""
        wanted = parse_document(document, self.catalogue, self.limits, self.graph)
        edits = edits_between(self.graph, wanted, self.catalogue)
        receipt = await self.apply(
            edits, caller=caller, base_revision=base_revision, strict=strict, fade_ms=fade_ms, label=label
        )
        if self.graph.name != wanted.name:
            self.graph = msgspec.structs.replace(self.graph, name=wanted.name)
        return receipt

    def _accept(self, edits: Sequence[AnyEdit], base_revision: int | None, strict: bool) -> Accepted:
        stale = base_revision is not None and base_revision != self.revision
        between = self.history.describe_since(base_revision) if stale and base_revision is not None else []
        if base_revision is not None and base_revision > self.revision:
            message = f"The graph is at revision {self.revision}; there is no revision {base_revision} yet."
            raise Refusal("conflict", message, revision=self.revision)
        moved = f"The graph went from revision {base_revision} to {self.revision} meanwhile"
        if stale and strict:
            message = f"{moved}. Look at the changes and try again."
            raise Refusal("conflict", message, revision=self.revision, changes=between)
        try:
            return apply_edits(self.graph, edits, self.catalogue, self.limits)
        except Refusal as refusal:
            if not stale:
                raise
            message = f"The edits no longer hold. {moved}. {refusal.message}"
            raise Refusal("conflict", message, refusal.problems, revision=self.revision, changes=between) from refusal

    def _check_outside(self, accepted: Accepted) -> None:
        """Asks the outside of each node whose configuration is new whether it could work by it, before it is made."""
        problems: list[Problem] = []
        for node_id in accepted.touched:
            old, new = self.graph.nodes.get(node_id), accepted.graph.nodes[node_id]
            outside = self._outside_types.get(new.type)
            if outside is None or (old is not None and old.config is new.config):
                continue
            place = max(index for index, name in enumerate(accepted.ids) if name == node_id)
            problems += (
                msgspec.structs.replace(problem, where=f"edits[{place}].{problem.where}")
                for problem in outside.check(new.config, self.media)
            )
        if problems:
            only_forbidden = all(problem.kind == "forbidden" for problem in problems)
            raise refuse("forbidden" if only_forbidden else "invalid_config", problems)

    def _next_generations(self, accepted: Accepted) -> dict[str, int]:
        """A node that is added or replaced, or whose outside has to begin anew, gets another node object."""
        anew = set(accepted.renewed | accepted.acted)
        for node_id in accepted.touched:
            old, new = self.graph.nodes.get(node_id), accepted.graph.nodes[node_id]
            outside = self._outside_types.get(new.type)
            if old is None or (outside and old.type == new.type and outside.restart_needed(old.config, new.config)):
                anew.add(node_id)
        if not anew:
            return self._generations
        return self._generations | {node_id: self._generations.get(node_id, 0) + 1 for node_id in anew}

    def _plan(
        self,
        accepted: Accepted,
        generations: Mapping[str, int],
        fade_ms: float | None,
        fresh: frozenset[str],
        anew: frozenset[str] = frozenset(),
    ) -> tuple[Plan, Order]:
        graph = accepted.graph
        touched = accepted.touched | accepted.reshaped | anew
        channels = resolve_channels(graph, self.catalogue)
        plan, problems = make_plan(graph, self.catalogue, channels, generations, self.stage.plan, touched, anew)
        if problems:
            raise refuse("invalid_graph", problems)
        values = {}
        for node_id in touched:
            node, old = graph.nodes[node_id], self.graph.nodes.get(node_id)
            if old is None or old.config is not node.config or plan.nodes[node_id] not in self.stage.parts:
                spec = self.catalogue[node.type]
                values[plan.nodes[node_id]] = flatten(spec, node.config)
        fade_frames = self.frames(DEFAULT_FADE_MS if fade_ms is None else fade_ms)
        abrupt = frozenset(name for name, strategy in accepted.strategies.items() if strategy == "immediate")
        ramp_frames = None if fade_ms is None else fade_frames
        return plan, Order(values, fade_frames, ramp_frames, abrupt, fresh, pacer(graph, plan, self.pacing))

    def frames(self, ms: float) -> int:
        return round(ms * self.engine.sample_rate / 1000)

    async def _adoption(self, adopted: asyncio.Future[int], revision: int) -> int:
        try:
            return await asyncio.wait_for(asyncio.shield(adopted), ADOPTION_PATIENCE_S)
        except TimeoutError:
            message = (
                f"The engine was handed revision {revision}, and has not taken it up for {ADOPTION_PATIENCE_S:.0f} s. "
                "Its audio thread may be stuck; see runtime.status."
            )
            raise Refusal("timeout", message, revision=revision) from None

    def _receipt(
        self, revision: int, frame: int, edits: Sequence[AnyEdit], accepted: Accepted, carried: dict[str, bool]
    ) -> Receipt:
        return Receipt(
            revision=revision,
            frame=frame,
            time=self.time_of(frame),
            block=frame // self.engine.block_frames,
            ids=[made for edit, made in zip(edits, accepted.ids, strict=True) if isinstance(edit, AddNode | Connect)],
            state_carried=carried,
            warnings=list(accepted.warnings),
        )

    def time_of(self, frame: int) -> str:
        """When a frame sounds, by the wall clock: RFC 3339 in UTC. Before the engine has run: now."""
        status = self.engine.status()
        at_ns = time.time_ns()
        if status.frame_time_ns:
            at_ns = status.frame_time_ns + (frame - status.frame) * 1_000_000_000 // self.engine.sample_rate
        return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def _publish(
        self, before: Graph, accepted: Accepted, revision: int, frame: int, caller: Caller, label: str
    ) -> None:
        about = {"revision": revision, "author": caller.name, "origin": caller.origin}
        for name, params in changes(before, accepted.graph, self.catalogue, accepted.renewed):
            self.events.publish(cast("EventName", name), {**about, **params})
        self.events.publish("transaction_applied", {**about, "frame": frame, "label": label})

    # ---- The outside -------------------------------------------------------------------------------------------------

    def _open_outside(self, node: PlanNode) -> Outside:
        config = self._opening.nodes[node.id].config

        def on_state(state: EndpointState) -> None:
            self._loop.call_soon_threadsafe(self._tell_state, node.id, state)

        surroundings = Surroundings(
            sample_rate=self.engine.sample_rate,
            block_frames=self.engine.block_frames,
            channels=next(iter({**node.channels.inputs, **node.channels.outputs}.values())),
            media=self.media,
            on_state=on_state,
            make_ring=functools.partial(Ring, rate=self.engine.sample_rate),
            make_card=self._make_card,
        )
        return self._outside_types[node.spec.type].open_endpoint(node.id, config, surroundings)

    def _tell_outside(self, before: Graph, after: Graph, touched: Collection[str]) -> None:
        """Starts what is new while the engine is active, and tells the rest what of its configuration changed."""
        for node_id in touched:
            part, old, new = self.stage.part(node_id), before.nodes.get(node_id), after.nodes[node_id]
            if part.outside is None:
                continue
            if not part.started:
                if self.runtime.active:
                    part.start()
            elif old is not None and old.config != new.config:
                part.outside.configure(new.config)

    def _tell_state(self, node_id: str, state: EndpointState) -> None:
        node = self.graph.nodes.get(node_id)
        if node is not None:
            told = {"state": state_of(node, state.name), "state_message": state.message, "detail": state.detail}
            self.events.publish("node_state_changed", {"node_id": node_id, **told})

    def renew_outside(self) -> None:
        """Gives every node with an outside a fresh one: the old ones ended when the engine stopped."""
        generations = dict(self._generations)
        for node in self.stage.plan.nodes.values():
            part = self.stage.parts[node]
            if part.outside is not None and part.started:
                generations[node.id] = generations.get(node.id, 0) + 1
        if generations == self._generations:
            return
        channels = resolve_channels(self.graph, self.catalogue)
        plan, _ = make_plan(self.graph, self.catalogue, channels, generations, self.stage.plan)
        values = {
            node: flatten(node.spec, self.graph.nodes[node.id].config)
            for node in plan.nodes.values()
            if node not in self.stage.parts
        }
        order = Order(values, fade_frames=0, ramp_frames=0, pacer=pacer(self.graph, plan, self.pacing))
        self._opening = self.graph
        self.stage.change_to(plan, order)
        self._generations = generations
        self._hear_engine()

    # ---- The engine --------------------------------------------------------------------------------------------------

    def _hear_engine(self) -> None:
        try:
            self.engine.clear_bell()
            heard = self.engine.events()
        except CoreError:
            log.exception("reading the engine's events")
            return
        for event in heard:
            self._hear(event)
        self.schedule_sweep()

    def _hear(self, event: EngineEvent) -> None:
        self.runtime.hear(event)
        match event.kind:
            case "adopted":
                tell = self._to_tell.pop(self.stage.adopted(event), None)
                if tell:
                    tell(event.frame)
            case "fault":
                node_id = self.stage.node_of(event.id)
                self._log(
                    f"{node_id} gave out NaN or infinity: muted and reset, {event.value:.0f} blocks so far", event
                )
            case "gap":
                self._log(f"The audio thread was held up: {event.value:.0f} frames of time passed unplayed", event)
            case "stepped_down":
                self._log(
                    "The audio thread hogged its core and gave up its real-time priority until the next start", event
                )

    def _log(self, message: str, event: EngineEvent) -> None:
        log.warning("%s (frame %d)", message, event.frame)
        self.events.publish("log", {"level": "warning", "message": message, "frame": event.frame})

    def schedule_sweep(self) -> None:
        """Looks again when the next fade is over. While no blocks run, `Runtime` calls `sweep` itself."""
        if self._sweep_timer or not self.stage.has_fades or self.runtime.state != "running":
            return
        end = self.stage.next_end
        left = 0.0 if end is None else (end - self.engine.frame) / self.engine.sample_rate
        self._sweep_timer = self._loop.call_later(max(left, 0.005), self.sweep)

    def sweep(self) -> None:
        """Takes off stage what has faded out."""
        if self._sweep_timer:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        try:
            self.stage.sweep()
        except CoreError as error:
            log.warning("clearing the stage is put off: %s", error)
        self._hear_engine()
