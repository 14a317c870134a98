"""Whether edits can be applied now, by somebody who may have thought them out a while ago.

Fields are the last writer's: an edit of a parameter holds whatever others have changed meanwhile. What does not hold
any more is a conflict, and the answer says what came between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .graph.edits import AnyEdit
from .graph.model import Graph
from .graph.rules import Limits
from .graph.shifting import shifted
from .graph.spec import Catalogue
from .graph.transaction import Accepted, apply_edits
from .history import History
from .problems import Refusal, refuse


class Base(NamedTuple):
    """What edits are applied to, and what led there."""

    graph: Graph
    revision: int
    history: History


def accept_edits(
    edits: Sequence[AnyEdit],
    base: Base,
    base_revision: int | None,
    strict: bool,
    catalogue: Catalogue,
    limits: Limits,
) -> Accepted:
    """What the edits make of the graph, or a Refusal. With `strict` any other base than the present is a conflict."""
    graph, revision, history = base
    if base_revision is None or base_revision == revision:
        return apply_edits(graph, edits, catalogue, limits)
    if base_revision > revision:
        message = f"The graph is at revision {revision}; there is no revision {base_revision} yet."
        raise Refusal("conflict", message, revision=revision)
    if strict:
        raise overtaken(base, base_revision, catalogue)
    try:
        if problems := shifted(edits, history.changes(base_revision)):
            raise refuse("conflict", problems)
        return apply_edits(graph, edits, catalogue, limits)
    except Refusal as refusal:
        raise overtaken(base, base_revision, catalogue, refusal) from refusal


def overtaken(base: Base, since: int, catalogue: Catalogue, why: Refusal | None = None) -> Refusal:
    """The conflict of edits that were thought out at an earlier revision, and what came between. `why` they do not hold
    any more; None: whether they would was not looked at."""
    moved = f"The graph went from revision {since} to {base.revision} meanwhile."
    message = (
        f"The edits no longer hold. {moved} {why.message}" if why else f"{moved} Look at the changes and try again."
    )
    between = base.history.describe_since(since, catalogue)
    problems = why.problems if why else ()
    return Refusal("conflict", message, problems, revision=base.revision, changes=between)
