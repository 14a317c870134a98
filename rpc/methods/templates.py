"""`templates.*`: parts of graphs that people want again and again. `nodes.templates` lists types of nodes."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.edits import Coordinate, NodeId
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.rfc3339 import written

from ..method_table import Call, Shell, method
from ..route import Route
from .graph import DryRun, FadeMs, TransactionLabel
from .graph_clone import nodes_named
from .snapshots import Replace, store_of

TemplateName = Annotated[
    str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="template's name of one line")
]
TemplateHelp = Annotated[str, Meta(max_length=1000, description="what it is for")]
Parts = Annotated[
    list[NodeId], Meta(min_length=1, max_length=1000, description="the nodes it is made of; all when null")
]
LeftEdge = Annotated[Coordinate, Meta(description="where its left edge is drawn; where it was unless given")]
UpperEdge = Annotated[Coordinate, Meta(description="where its upper edge is drawn")]


class TemplateView(msgspec.Struct, frozen=True, kw_only=True):
    """A template: the nodes and connections it is made of, as in a document. No secrets are shown."""

    name: str
    help: str
    time: str
    author: str
    nodes: list[dict[str, Any]]
    connections: list[dict[str, Any]]


@method(
    "templates.list",
    role="viewer",
    shell=Shell("templates", example="tonnetz templates"),
    http=Route("GET /api/templates"),
)
async def list_(call: Call) -> list[TemplateView]:
    """List the templates, by name."""
    from tonnetz.daemon.graph.document import to_document
    from tonnetz.daemon.storage.templates import listed

    views = []
    for stored, part in await store_of(call).ask(listed):
        document = to_document(part, call.session.catalogue)
        views.append(
            TemplateView(
                name=stored.name,
                help=stored.help,
                time=written(stored.time_ns, "milliseconds"),
                author=stored.author,
                nodes=document["nodes"],
                connections=document["connections"],
            )
        )
    return views


@method("templates.save", role="operator", mutates=True, http=Route("POST /api/templates"))
async def save(
    call: Call, name: TemplateName, nodes: Parts | None = None, help: TemplateHelp = "", replace: Replace = False
) -> None:
    """Keep some nodes, and the connections between them, as a template."""
    from tonnetz.daemon.graph.copying import part_of
    from tonnetz.daemon.storage import templates

    graph, author = call.session.graph, call.caller.name
    part = part_of(graph, nodes_named(call, nodes))
    await store_of(call).ask(
        lambda connection, forms: templates.save(connection, forms, name, help, part, author, replace)
    )


@method(
    "templates.insert",
    role="operator",
    mutates=True,
    shell=Shell("insert <name>", example="tonnetz insert channel"),
    http=Route("POST /api/templates/{name}/insert", tagged=True),
)
async def insert(
    call: Call,
    name: TemplateName,
    x: LeftEdge | None = None,
    y: UpperEdge | None = None,
    fade_ms: FadeMs | None = None,
    label: TransactionLabel = "",
    dry_run: DryRun = False,
) -> Receipt:
    """Put a template's nodes into the graph, in one transaction.

    They keep their ids where these are free, else they are numbered; `ids` of the receipt begins with them. To the rest
    of the graph they are connected by whoever knows where they belong.
    """
    from tonnetz.daemon.graph.copying import grafting
    from tonnetz.daemon.graph.mending import mended
    from tonnetz.daemon.storage import templates

    session = call.session
    stored = await store_of(call).ask(lambda connection, forms: templates.load(connection, forms, name))
    part, notes = mended(stored, session.catalogue, session.limits)
    drawn = [node.position for node in part.nodes.values() if node.position is not None]
    left = min((position.x for position in drawn), default=0.0)
    upper = min((position.y for position in drawn), default=0.0)
    shift = (0.0 if x is None else x - left, 0.0 if y is None else y - upper)
    edits, _ = grafting(session.graph, part, shift)
    receipt = await session.apply(
        edits, caller=call.caller, fade_ms=fade_ms, label=label or f"template {name}", dry_run=dry_run
    )
    return msgspec.structs.replace(receipt, warnings=[*notes, *receipt.warnings])


@method("templates.delete", role="operator", mutates=True, http=Route("DELETE /api/templates/{name}"))
async def delete(call: Call, name: TemplateName) -> None:
    """Delete a template. No graph is changed."""
    from tonnetz.daemon.storage import templates

    await store_of(call).ask(lambda connection, _forms: templates.delete(connection, name))
