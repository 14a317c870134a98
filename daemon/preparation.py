"""From what somebody asks to a change that is handed to the engine; until then nothing is changed.

A transaction is worked out on a `Standing`: the present one, or the one that changes under way will have led to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from .acceptance import Base, accept_edits
from .caller import Caller
from .engine.core import CoreError
from .engine.crossing import Crossing
from .engine.node_state import Unfit
from .engine.parts import Order, Part, Settings
from .engine.scene import Prepared, Scene
from .entry import Kind
from .graph.alignment import COMPENSATION, align
from .graph.edits import AddNode, AnyEdit
from .graph.model import Graph
from .graph.plan import Plan, PlanNode, make_plan, pacer
from .graph.ports import resolve_channels
from .graph.transaction import Accepted
from .history import History
from .node_catalogue import checked
from .problems import Problem, Refusal, refuse, refuse_config

if TYPE_CHECKING:
    from .session import Session

DEFAULT_FADE_MS = 20.0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody asks for; `Session.apply` says what the words mean."""

    edits: Sequence[AnyEdit]
    caller: Caller
    base_revision: int | None = None
    strict: bool = False
    fade_ms: float | None = None
    label: str = ""
    kind: Kind = "edit"  # and what it is `of`: what the history says of it (daemon/entry.py)
    of: int | None = None


@dataclass(frozen=True, eq=False)
class Standing:
    """How far things have come: all that a transaction is worked out on."""

    graph: Graph
    revision: int
    generations: Mapping[str, int]  # per node id, how often it was made anew
    scene: Scene

    def base(self, history: History) -> Base:
        """What edits are applied to."""
        return Base(self.graph, self.revision, history)


@dataclass(frozen=True, eq=False)
class Draft:
    """A transaction that holds: what comes of it, and what it asks of the stage. Nothing is made yet."""

    request: Request
    before: Standing
    accepted: Accepted
    generations: Mapping[str, int]
    plan: Plan
    order: Order


@dataclass(frozen=True, eq=False)
class Worked:
    """A transaction that is ready to be submitted."""

    draft: Draft
    prepared: Prepared

    @property
    def after(self) -> Standing:
        draft = self.draft
        return Standing(draft.accepted.graph, draft.before.revision + 1, draft.generations, self.prepared.scene)


def work_out(session: Session, request: Request, standing: Standing, spare: Sequence[Part] = ()) -> Worked:
    """The transaction with all that it needs made. Raises a Refusal, and then nothing was made.

    `spare`: parts made when it was worked out before; those that fit are used again, the others closed.
    """
    draft = draft_of(session, request, standing)
    anew: frozenset[str] = frozenset()
    while True:
        try:
            return Worked(draft, session.stage.prepare(draft.plan, replace(draft.order, spare=spare), standing.scene))
        except Crossing as crossing:
            anew |= crossing.node_ids
            draft = _planned(session, draft, anew)
        except Unfit as unfit:
            raise _unfit(draft, unfit) from None
        except CoreError as error:
            raise _not_taken(error) from error


def submit(session: Session, worked: Worked, due: int = 0) -> None:
    """Hands a change to the engine; where it can't take it, it is dropped, and that is a Refusal."""
    try:
        session.stage.submit(worked.prepared, due)
    except CoreError as error:
        session.stage.close(worked.prepared.made)
        raise _not_taken(error) from error


def tried(session: Session, request: Request, standing: Standing) -> Draft:
    """The transaction as far as it can be judged without making it; raises a Refusal with all that is wrong."""
    draft = draft_of(session, request, standing)
    if draft.order.states:  # whether they fit shows when they are put into nodes
        session.stage.close(work_out(session, request, standing).prepared.made)
    return draft


def _not_taken(error: CoreError) -> Refusal:
    return Refusal("unavailable", f"The engine could not take the change: {error}. Nothing was changed; try again.")


def _drains(session: Session, accepted: Accepted, standing: Standing) -> dict[str, Settings]:
    """The nodes that are to play out what they hold. A sink writes all that it heard anyway, and a source for which
    nothing is buffered would never end."""
    drains = {}
    for name, strategy in accepted.strategies.items():
        node = standing.graph.nodes[name]
        spec = session.catalogue[node.type]
        holds = spec.category == "processor" or (spec.category == "source" and node.type in session.outside_types)
        if strategy == "drain" and holds:
            drains[name] = Settings.of(spec, node.config)
    return drains


def _unfit(draft: Draft, unfit: Unfit) -> Refusal:
    where = f"edits[{draft.accepted.states[unfit.node_id].edit}].state.fields"
    place = f"{where}.{unfit.field}" if unfit.field else where
    return refuse("invalid_config", [Problem("unfit_state", unfit.message, place)])


def aligned(session: Session, base: Plan, graph: Graph, previous: Plan) -> Plan:
    """The plan of a graph with what compensates for latency, if that is wanted and needed."""
    if base is previous.base:
        return previous
    late = session.latencies.late(base, previous.base, lambda node: graph.nodes[node.id].config)
    return align(base, late, previous, session.compensates)


def compensations(plan: Plan, parts: Collection[PlanNode]) -> dict[PlanNode, Settings]:
    """What those nodes of a plan are set to that compensate for latency and have yet to be made."""
    found = {}
    for node in plan.nodes.values() if plan is not plan.base else ():
        if node.spec is COMPENSATION and node not in parts:
            found[node] = Settings.of(node.spec, dict(node.structure))
    return found


def draft_of(session: Session, request: Request, standing: Standing) -> Draft:
    """The transaction as far as it can be judged beforehand; raises a Refusal with all that is wrong."""
    accepted = accept(session, request, standing)
    generations = _next_generations(session, accepted, standing)
    nothing = Draft(request, standing, accepted, generations, standing.scene.plan, Order({}, 0, None))
    return _planned(session, nothing, frozenset())


def accept(session: Session, request: Request, standing: Standing) -> Accepted:
    """What the edits make of the graph. Only what would meet around bypassed nodes is not looked at yet."""
    base = standing.base(session.history)
    accepted = accept_edits(
        request.edits, base, request.base_revision, request.strict, session.catalogue, session.limits
    )
    _check_outside(session, accepted, standing)
    return accepted


def _check_outside(session: Session, accepted: Accepted, standing: Standing) -> None:
    """Asks the outside of each node whose configuration is new whether it could work by it, before it is made."""
    found: list[tuple[str, Problem]] = []
    for node_id in accepted.touched:
        old, new = standing.graph.nodes.get(node_id), accepted.graph.nodes[node_id]
        outside = session.outside_types.get(new.type)
        if outside is None or (old is not None and old.config is new.config):
            continue
        found += ((node_id, problem) for problem in checked(outside, new.config, session.media))
    if found:
        last = {name: index for index, name in enumerate(accepted.ids)}  # the edit that says how it is now
        problems = [
            msgspec.structs.replace(problem, where=f"edits[{last[node_id]}].{problem.where}")
            for node_id, problem in found
        ]
        raise refuse_config(problems)


def _next_generations(session: Session, accepted: Accepted, standing: Standing) -> Mapping[str, int]:
    """A node that is added or replaced, or whose outside has to begin anew, gets another node object."""
    anew = set(accepted.renewed | accepted.acted)
    for node_id in accepted.touched:
        old, new = standing.graph.nodes.get(node_id), accepted.graph.nodes[node_id]
        outside = session.outside_types.get(new.type)
        if old is None or (outside and old.type == new.type and outside.restart_needed(old.config, new.config)):
            anew.add(node_id)
    if not anew:
        return standing.generations
    return {**standing.generations, **{node_id: standing.generations.get(node_id, 0) + 1 for node_id in anew}}


def _planned(session: Session, draft: Draft, anew: frozenset[str]) -> Draft:
    """The draft with its plan. In it the nodes named by `anew` get other objects even where the old ones would do."""
    request, accepted, standing = draft.request, draft.accepted, draft.before
    graph = accepted.graph
    touched = accepted.touched | accepted.reshaped | anew
    channels = resolve_channels(graph, session.catalogue)
    before = standing.scene.plan
    base, problems = make_plan(graph, session.catalogue, channels, draft.generations, before.base, touched, anew)
    if problems:
        raise refuse("invalid_graph", problems)
    plan = aligned(session, base, graph, before)
    settings = {}
    for node_id in touched:
        node, old = graph.nodes[node_id], standing.graph.nodes.get(node_id)
        if old is None or old.config is not node.config or plan.nodes[node_id] not in standing.scene.parts:
            settings[plan.nodes[node_id]] = Settings.of(session.catalogue[node.type], node.config)
    settings.update(compensations(plan, standing.scene.parts))
    fade_frames = session.frames(DEFAULT_FADE_MS if request.fade_ms is None else request.fade_ms)
    order = Order(
        settings,
        fade_frames,
        None if request.fade_ms is None else fade_frames,
        abrupt=frozenset(name for name, strategy in accepted.strategies.items() if strategy == "immediate"),
        drains=_drains(session, accepted, standing),
        states={name: restored.state for name, restored in accepted.states.items()},
        fresh=frozenset(edit.id for edit in request.edits if isinstance(edit, AddNode) and edit.id is not None),
        # Looked for among all nodes, where these are other ones.
        pacer=standing.scene.pacer if base.nodes is before.base.nodes else pacer(graph, plan, session.pacing),
    )
    return replace(draft, plan=plan, order=order)
