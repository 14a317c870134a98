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
from typing import TYPE_CHECKING, Any, Unpack, cast

from .basis import Basis
from .caller import Caller
from .carried import NOTHING, Carried
from .devices import Devices
from .endpoints.endpoint import EndpointState, MediaRoots, Surroundings
from .endpoints.trial import Trial
from .engine.card import Card
from .engine.core import ClockKind, CoreEngine, CoreError, EngineEvent
from .engine.latency import Latencies
from .engine.parts import Order, Outside, Part, Settings
from .engine.ring import Ring
from .engine.stage import Stage
from .entry import Kind
from .event_names import EventName
from .events import Hub
from .graph.changes import changes
from .graph.document import edits_between, parse_document
from .graph.edits import AddNode, AnyEdit, Connect
from .graph.model import Graph
from .graph.plan import PlanNode, make_plan, pacer
from .graph.ports import resolve_channels
from .graph.rules import Limits
from .history import History
from .idempotency import Answers
from .keeping import Keeping, Pending, entry_of
from .node_catalogue import load_catalogue
from .node_states import States
from .node_trial import try_node
from .preparation import (
    DEFAULT_FADE_MS,
    Draft,
    Request,
    Standing,
    Worked,
    aligned,
    compensations,
    submit,
    tried,
    work_out,
)
from .presence import Presence
from .probing.probing import Probing
from .problems import Refusal
from .receipt import Receipt
from .rfc3339 import written
from .runtime import Runtime
from .schedule import Schedule
from .service.credentials import filled
from .view import node_view, state_of, troubles, view

if TYPE_CHECKING:
    from .reloading import Configuration

log = logging.getLogger(__name__)

STORAGE = Caller("storage", "admin", "storage")  # who takes back what the disk did not take
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
        latency_compensation: bool = True,
    ) -> None:
        """`pacing` names the node whose sound card is the clock, "auto": the first that can be, "": none. `offline`: no
        sound card is opened."""
        self.graph = Graph()
        self.revision = 0
        self.events = Hub()
        self.presence = Presence(self.events)
        self.history = History()
        self._answers = Answers()
        self.keeping = Keeping(self._take_back)
        self.limits = Limits()
        self.catalogue, self.outside_types = load_catalogue()
        self.media = media or MediaRoots()
        self.pacing = pacing
        self._make_card = None if offline else functools.partial(Card, realtime_priority=realtime_priority)
        self.engine = CoreEngine(sample_rate, block_frames, clock, realtime_priority)
        self.stage = Stage(self.engine, self._open_outside)
        self.latencies = Latencies(sample_rate, block_frames)
        self.compensates = latency_compensation
        self.schedule = Schedule(self)
        self.states = States(self)
        self.runtime = Runtime(self)
        self.probing = Probing(self)
        self.configuration: Configuration | None = None  # that can be read again; none for those who made us without
        self.devices = Devices(self)
        self._generations: Mapping[str, int] = {}
        self._to_tell: dict[asyncio.Future[int], Callable[[int], None]] = {}  # what to tell when a change is adopted
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.engine.event_fd, self.hear_engine)

    async def close(self) -> None:
        """When this returns, all is stopped, finished and stored. What waits for its time is refused."""
        self.schedule.close()
        self.probing.close()
        await self.runtime.stop()
        await self.devices.close()
        if self.keeping.store:
            await self.keeping.store.close()
        if self._sweep_timer:
            self._sweep_timer.cancel()
        self._loop.remove_reader(self.engine.event_fd)

    def view(self) -> dict[str, Any]:
        """The graph with what is known of its nodes (daemon/view.py)."""
        return view(self)

    def node_view(self, node_id: str) -> dict[str, Any] | None:
        """One node as `view` has it; None where there is none."""
        return node_view(self, node_id)

    def troubles(self) -> list[dict[str, str]]:
        """The nodes that neither run nor are bypassed on purpose."""
        return troubles(self)

    async def test_node(self, type: str, config: Any) -> dict[str, Any]:
        """Whether a node of this type would work with this configuration (daemon/node_trial.py)."""
        trial = Trial(self.engine.sample_rate, self.engine.block_frames, self.media, self.devices.alsa)
        return await try_node(self.catalogue[type], self.outside_types.get(type), config, trial)

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
        at: int | str | None = None,
        idempotency_key: str | None = None,
        kind: Kind = "edit",
        of: int | None = None,
    ) -> Receipt:
        """Applies all edits at one block boundary, or raises a Refusal and changes nothing.

        `fade_ms` (0 to 1000) holds for structure and parameters alike; None: 20 ms for structure, parameters as each
        type finds right. With a stale `base_revision` the edits are applied if they still hold by themselves. `at`: not
        before this frame, or this time in RFC 3339; daemon/schedule.py says what that means. The same
        `idempotency_key` again, from the same caller, is answered as the first time (daemon/idempotency.py). `kind` and
        `of` are what the history says of it (daemon/entry.py).
        """
        request = Request(
            edits=edits,
            caller=caller,
            base_revision=base_revision,
            strict=strict,
            fade_ms=fade_ms,
            label=label,
            kind=kind,
            of=of,
        )
        if dry_run:
            draft = tried(self, request, self.standing)
            frame = self.engine.frame if at is None else self.schedule.foreseen(at)
            return self.receipt(self.revision, frame, draft, {})
        if idempotency_key is not None:
            asked = (request, at)
            return await self._answers.once(caller, idempotency_key, asked, lambda: self._carry_out(request, at))
        return await self._carry_out(request, at)

    async def _carry_out(self, request: Request, at: int | str | None) -> Receipt:
        self.keeping.check()
        if at is not None:
            return await self.schedule.add(request, at)
        with self.schedule.aside():
            worked = work_out(self, request, self.standing)
            submit(self, worked)
            pending = self.enter(worked)
        revision = self.revision
        self.hear_engine()  # with no audio thread running it is adopted already
        frame = await self._adoption(pending.adopted, revision)
        await self.keeping.stored(pending)
        return self.receipt(revision, frame, worked.draft, worked.prepared.carried)

    @property
    def standing(self) -> Standing:
        return Standing(self.graph, self.revision, self._generations, self.stage.scene)

    def enter(self, worked: Worked, due: int = 0) -> Pending:
        """From now on the graph is the one that a submitted change leads to, and it is to be stored."""
        draft, before = worked.draft, self.graph
        self._go_on_from(worked, due)
        revision = self.revision
        entry = entry_of(revision, worked, before)
        self.history.add(entry)
        adopted = worked.prepared.change.frame
        # Not where somebody waits for it: whoever asked may hang up meanwhile, and all others are to be told even so.
        pending = self.keeping.submitted(
            entry, before, self.graph, adopted, lambda frame: self._publish(before, draft, revision, frame)
        )
        self._to_tell[adopted] = lambda frame: self.keeping.sounds(pending, frame)
        return pending

    def _go_on_from(self, worked: Worked, due: int = 0) -> None:
        draft, before = worked.draft, self.graph
        self.stage.enter(worked.prepared, due)
        self.graph = draft.accepted.graph
        self.revision += 1
        self._generations = draft.generations
        self._tell_outside(before, self.graph, draft.accepted.touched | draft.accepted.reshaped)

    def _take_back(self, graph: Graph, revision: int) -> None:
        """Leads back to `graph`, without what could not be stored: `revision` and all after it."""
        self.history.forget(revision)
        with self.schedule.aside():
            edits = edits_between(self.graph, graph, self.catalogue)
            worked = work_out(self, Request(edits=edits, caller=STORAGE), self.standing)
            submit(self, worked)
            self._go_on_from(worked)
        self.hear_engine()

    def resume(self, graph: Graph, revision: int, carried: Carried = NOTHING) -> None:
        """Begins with a graph that is right and was stored as this revision. Unfit where a state does not fit."""
        self.graph, self.revision = graph, revision
        self._stage_whole({}, self.frames(DEFAULT_FADE_MS), carried)

    async def load(
        self, document: Any, *, caller: Caller, fade_ms: float | None = None, label: str = "", **basis: Unpack[Basis]
    ) -> Receipt:
        """One transaction from the present graph to the document's; nodes they have in common are kept."""
        wanted = parse_document(document, self.catalogue, self.limits, self.graph)
        edits = edits_between(self.graph, wanted, self.catalogue)
        return await self.apply(edits, caller=caller, fade_ms=fade_ms, label=label, **basis)

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

    def receipt(self, revision: int, frame: int, draft: Draft, carried: Mapping[str, bool]) -> Receipt:
        edits, accepted = draft.request.edits, draft.accepted
        return Receipt(
            revision=revision,
            frame=frame,
            time=self.time_of(frame),
            block=frame // self.engine.block_frames,
            ids=[made for edit, made in zip(edits, accepted.ids, strict=True) if isinstance(edit, AddNode | Connect)],
            state_carried=dict(carried),
            warnings=list(accepted.warnings),
        )

    def time_of(self, frame: int) -> str:
        """When a frame sounds, by the wall clock: RFC 3339 in UTC. Before the engine has run: now."""
        status = self.engine.status()
        at_ns = time.time_ns()
        if status.frame_time_ns:
            at_ns = status.frame_time_ns + (frame - status.frame) * 1_000_000_000 // self.engine.sample_rate
        return written(at_ns, "microseconds")

    def _publish(self, before: Graph, draft: Draft, revision: int, frame: int) -> None:
        request, accepted = draft.request, draft.accepted
        about = {"revision": revision, "author": request.caller.name, "origin": request.caller.origin}
        for name, params in changes(before, accepted.graph, self.catalogue, accepted.renewed, accepted.affected):
            self.events.publish(cast("EventName", name), {**about, **params})
        self.events.publish("transaction_applied", {**about, "frame": frame, "label": request.label})

    # ---- The outside -------------------------------------------------------------------------------------------------

    def _open_outside(self, node: PlanNode, config: Mapping[str, Any]) -> Outside:
        def on_state(state: EndpointState) -> None:
            self._loop.call_soon_threadsafe(self._tell_state, node.id, state)

        surroundings = Surroundings(
            sample_rate=self.engine.sample_rate,
            block_frames=self.engine.block_frames,
            channels=next(iter({**node.channels.inputs, **node.channels.outputs}.values())),
            media=self.media,
            on_state=on_state,
            on_gap=lambda cause: self._loop.call_soon_threadsafe(self.runtime.lose_sound, node.id, cause),
            make_ring=functools.partial(Ring, rate=self.engine.sample_rate),
            make_card=self._make_card,
        )
        given = filled(node.id, node.spec, config)
        return self.outside_types[node.spec.type].open_endpoint(node.id, given, surroundings)

    def _tell_outside(self, before: Graph, after: Graph, touched: Collection[str]) -> None:
        """Starts what is new while the engine is active, and tells the rest what of its configuration changed."""
        for node_id in touched:
            part, old, new = self.stage.part(node_id), before.nodes.get(node_id), after.nodes[node_id]
            if part.outside is None:
                continue
            if not part.started:
                self.let_begin((part,))
            if old is not None and old.config != new.config and part.settings.config is not new.config:
                part.outside.configure(filled(node_id, self.catalogue[new.type], new.config))

    def let_begin(self, parts: Collection[Part]) -> None:
        """Starts players and recorders that are new, if the engine is at work. Else they begin with it."""
        if self.runtime.active:
            for part in parts:
                part.start()

    def _tell_state(self, node_id: str, state: EndpointState) -> None:
        node = self.graph.nodes.get(node_id)
        if node is not None:
            told = {"state": state_of(node, state.name), "state_message": state.message, "detail": state.detail}
            self.events.publish("node_state_changed", {"node_id": node_id, **told})

    def renew_outside(self) -> None:
        """Gives every node with an outside a fresh one: the old ones ended when the engine stopped."""
        generations = dict(self._generations)
        for node in self.stage.plan.base.nodes.values():
            part = self.stage.parts[node]
            if part.outside is not None and part.started:
                generations[node.id] = generations.get(node.id, 0) + 1
        if generations != self._generations:
            self._stage_whole(generations, fade_frames=0)

    def _stage_whole(self, generations: dict[str, int], fade_frames: int, carried: Carried = NOTHING) -> None:
        """Makes all that the graph needs and is not on stage."""
        channels = resolve_channels(self.graph, self.catalogue)
        base, _ = make_plan(self.graph, self.catalogue, channels, generations, self.stage.plan.base)
        plan = aligned(self, base, self.graph, self.stage.plan)
        settings = {
            node: Settings.of(node.spec, {**self.graph.nodes[node.id].config, **carried.places.get(node.id, {})})
            for node in base.nodes.values()
            if node not in self.stage.parts
        }
        settings.update(compensations(plan, self.stage.parts))
        order = Order(settings, fade_frames, 0, states=carried.states, pacer=pacer(self.graph, plan, self.pacing))
        with self.schedule.aside():
            self.stage.change_to(plan, order)
            self._generations = generations
        self.hear_engine()

    # ---- The engine --------------------------------------------------------------------------------------------------

    def hear_engine(self) -> None:
        try:
            self.engine.clear_bell()
            frame = self.engine.frame
            heard = self.engine.events()
        except CoreError:
            log.exception("reading the engine's events")
            return
        for event in heard:
            self._hear(event)
        self.stage.known = frame
        self.schedule_sweep()

    def _hear(self, event: EngineEvent) -> None:
        self.runtime.hear(event)
        if event.kind == "adopted":
            self.schedule.enter_until(event.id)
            tell = self._to_tell.pop(self.stage.adopted(event), None)
            if tell:
                tell(event.frame)

    def schedule_sweep(self) -> None:
        """Looks again when the next fade is over. Where blocks are stepped, `Runtime` calls `sweep` between steps:
        within one it would have to take back timed transactions, faster than blocks are run."""
        if self._sweep_timer or not self.stage.has_fades:
            return
        if self.runtime.state != "running" or self.engine.clock == "step":
            return
        end = self.stage.next_end
        left = 0.0 if end is None else (end - self.engine.frame) / self.engine.sample_rate
        self._sweep_timer = self._loop.call_later(max(left, 0.005), self.sweep)

    def sweep(self) -> None:
        """Takes off stage what has faded out."""
        self.hear_engine()
        if self._sweep_timer:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        if not self.stage.is_swept:
            try:
                with self.schedule.aside():
                    self.stage.sweep()
            except CoreError as error:
                log.warning("clearing the stage is put off: %s", error)
        self.hear_engine()
