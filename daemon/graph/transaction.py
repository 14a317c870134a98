"""Transactions: edits applied to a graph, all or none.

Edits are applied one after the other to a draft, so a later one may use what an earlier one made. Names of nodes must
hold when their edit comes; ports, signals, channels, loops and limits are judged on the graph that comes out. Whatever
is wrong is found in one go. An edit that fails leaves the nodes it names in doubt, and what only that doubt makes
wrong is not reported: every problem listed is one that somebody has to mend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from ..problems import Problem
from .edits import AnyEdit, Strategy
from .findings import Enough
from .model import Graph
from .ports import Channels, remember_channels, resolve_channels
from .rules import Limits, Touched, check, refusal
from .spec import Catalogue
from .verbs import Restored, Work


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What a transaction came to."""

    graph: Graph
    inverse: tuple[AnyEdit, ...]  # applied to `graph`, they give back the graph before
    ids: tuple[str, ...]  # per edit: the node or connection that it made or touched
    touched: frozenset[str]  # nodes of the new graph that are new, changed in what sounds, or otherwise connected
    acted: frozenset[str]  # of those, the ones that were given a momentary parameter
    renewed: frozenset[str]  # of those, the ones whose id named another node object before
    reshaped: frozenset[str]  # nodes in both graphs that now have other channels than before
    strategies: Mapping[str, Strategy]  # how the nodes of the old graph that are gone, or renewed, leave
    states: Mapping[str, Restored]  # what nodes of the new graph begin with
    warnings: tuple[str, ...]

    @property
    def affected(self) -> frozenset[str]:
        """Names among which are those of all nodes that differ in anything."""
        return self.touched.union(self.ids)


def apply_edits(graph: Graph, edits: Sequence[AnyEdit], catalogue: Catalogue, limits: Limits | None = None) -> Accepted:
    """Apply all edits, or raise a `Refusal` with every problem; each says where, as `edits[3].source`."""
    work = Work(graph, catalogue)
    before = resolve_channels(graph, catalogue)
    try:
        for index, edit in enumerate(edits):
            work.apply(index, edit)
        result = _finish(work, before, limits or Limits())
    except Enough:
        raise refusal(sorted(work.problems, key=_edit_index)) from None
    if work.problems:
        raise refusal(sorted(work.problems, key=_edit_index))
    draft = work.draft
    fresh = draft.fresh
    return Accepted(
        graph=result,
        inverse=tuple(edit for undo in reversed(work.undo) for edit in undo),
        ids=tuple(work.ids),
        touched=frozenset(name for name in work.sounding | work.acted | fresh | draft.rewired if name in result.nodes),
        acted=frozenset(name for name in work.acted if name in result.nodes),
        renewed=frozenset(name for name in fresh if name in graph.nodes),
        reshaped=_reshaped(before, resolve_channels(result, catalogue)),
        strategies=work.strategies,
        states=work.states,
        warnings=tuple(work.warnings),
    )


def _finish(work: Work, before: Channels, limits: Limits) -> Graph:
    """The graph that came of all edits, checked as far as they touched it."""
    draft = work.draft
    graph = draft.finish()
    if work.relaid or draft.rewired or work.problems:
        touched = Touched(nodes=work.relaid, connections=draft.made, rewired=draft.rewired, channels=before)
        unsure = work.unsure | work.absent
        work.problems += check(
            graph, work.catalogue, limits, touched, place=work.place, unsure=unsure, misfed=work.misfed
        )
    else:
        remember_channels(graph, work.catalogue, before)
    return graph


def _reshaped(before: Channels, after: Channels) -> frozenset[str]:
    """Nodes of both graphs whose channels differ."""
    if before is after:
        return frozenset()
    return frozenset(
        name
        for name, channels in after.items()
        if (known := before.get(name)) is not channels and known is not None and known != channels
    )


def _edit_index(problem: Problem) -> tuple[bool, int]:
    """The edit a problem belongs to; those of the graph as a whole come last."""
    found = re.match(r"edits\[(\d+)\]", problem.where)
    return (False, int(found[1])) if found else (True, 0)
