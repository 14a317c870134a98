"""`graph.clone`: copies of nodes, wired like the originals."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from tonnetz.daemon.graph.edits import Coordinate, NodeId, Wiring
from tonnetz.daemon.problems import Refusal, refuse
from tonnetz.daemon.receipt import Receipt

from ..method_table import Call, method
from ..route import Route
from .graph import DryRun, FadeMs, TransactionLabel

Originals = Annotated[
    list[NodeId], Meta(min_length=1, max_length=10_000, description="the nodes to copy; all when null")
]
WiringOfCopies = Annotated[
    Wiring,
    Meta(
        description="inside: like the originals among themselves; inputs: also to what feeds these; "
        "all: also to what these feed"
    ),
]
ShiftX = Annotated[Coordinate, Meta(description="how far to the right of its original each copy is drawn")]
ShiftY = Annotated[Coordinate, Meta(description="how far below")]


@method("graph.clone", role="operator", mutates=True, http=Route("POST /api/graph/clone", tagged=True))
async def clone(
    call: Call,
    nodes: Originals | None = None,
    wiring: WiringOfCopies = "inside",
    dx: ShiftX = 24.0,
    dy: ShiftY = 24.0,
    fade_ms: FadeMs | None = None,
    label: TransactionLabel = "",
    dry_run: DryRun = False,
) -> Receipt:
    """Copy nodes, or the whole graph, in one transaction.

    The copies have ids of their own (`eq_2` of `eq`), and everything else of the originals: configuration, label,
    bypass, secrets. `ids` of the receipt begins with the copies, in the order of the graph's nodes.
    """
    from tonnetz.daemon.graph.copying import grafting, part_of

    graph = call.session.graph
    wanted = nodes_named(call, nodes)
    edits, _ = grafting(graph, part_of(graph, wanted), (dx, dy), wiring)
    return await call.session.apply(edits, caller=call.caller, fade_ms=fade_ms, label=label or "copy", dry_run=dry_run)


def nodes_named(call: Call, nodes: list[str] | None) -> list[str]:
    """The nodes of the graph that a parameter `nodes` names, all of them when null. Refusal (not_found) for others."""
    from tonnetz.daemon.graph.rules import unknown_node

    known = call.session.graph.nodes
    if nodes is None and not known:
        raise Refusal("not_found", "The graph has no nodes.")
    wanted = list(known) if nodes is None else nodes
    problems = [unknown_node(name, known, f"nodes[{i}]") for i, name in enumerate(wanted) if name not in known]
    if problems:
        raise refuse("not_found", problems[:100])
    return wanted
