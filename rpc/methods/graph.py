"""`graph.*`: reading the graph, and changing it while it plays.

Every change is a transaction: it takes effect whole, at the beginning of one audio block, or it is refused and changes
nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta

from tonnetz.daemon.document_text import TEXT_LIMIT, TextFormat
from tonnetz.daemon.graph.edits import AnyEdit
from tonnetz.daemon.graph.model import Position
from tonnetz.daemon.problems import Problem, Refusal, refuse
from tonnetz.daemon.receipt import Receipt

from ..method_table import Call, Shell, method
from ..route import Route
from .presence import hinted

Document = Annotated[dict[str, Any], Meta(description="a graph document: version, name, nodes, connections")]
DocumentText = Annotated[str, Meta(max_length=TEXT_LIMIT, description="a graph document as YAML or JSON text")]
DocumentFormat = Annotated[TextFormat, Meta(description="yaml for people, json for programs")]
VERBS = [kind.__struct_config__.tag for kind in get_args(AnyEdit)]
# Read by daemon/graph/document.py, which takes both ways of writing an edit and says more of what is wrong with one.
Edits = Annotated[
    list[Any],
    Meta(
        min_length=1,
        max_length=100_000,
        description='the edits, in order: {"op": "connect", "source": …} or shorter {"connect": {"source": …}}',
        extra_json_schema={
            "items": {
                "anyOf": [
                    {"$ref": "#/components/schemas/Edit"},
                    {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": {"enum": VERBS}},
                ]
            }
        },
    ),
]
BaseRevision = Annotated[int, Meta(ge=0, description="the revision the change was thought out for")]
Strict = Annotated[bool, Meta(description="refuse any other base revision, even where the change would still hold")]
FadeMs = Annotated[float, Meta(ge=0, le=1000, description="length of the cross-fade in ms; 20 unless given")]
Time = Annotated[
    str,
    Meta(
        pattern=r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$",
        description="time in RFC 3339, with its zone, such as 2026-05-04T12:00:00Z",
    ),
]
At = Annotated[
    Annotated[int, Meta(ge=0)] | Time,
    Meta(description="not before this frame, or this time in RFC 3339; at most an hour ahead"),
]
IdempotencyKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        description="made up by the caller: asked again with the same one, it is done once, and answered alike",
    ),
]
DryRun = Annotated[bool, Meta(description="say what would happen, and change nothing")]
TransactionLabel = Annotated[
    str, Meta(max_length=200, description="a name for the change, shown in events and the history")
]


class PortView(msgspec.Struct, frozen=True):
    """A port as it is now; `channels` is 0 while nothing decides them."""

    name: str
    direction: Literal["input", "output"]
    signal: Literal["audio", "control", "midi"]
    channels: int


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A node with its whole configuration (secrets as {"secret": true}), its ports, and how it is.

    `latency` is its own, in frames, and `latency_total` that of what it gives out, over the longest way to it; `detail`
    is what an endpoint tells of itself (a recorder: the file it writes, and how far).
    """

    id: str
    type: str
    config: dict[str, Any]
    label: str = ""
    position: Position | None = None
    bypass: bool = False
    state: str
    state_message: str = ""
    detail: dict[str, Any] = {}
    ports: list[PortView]
    latency: int
    latency_total: int


class ConnectionView(msgspec.Struct, frozen=True):
    """A connection; its id is `source:target`."""

    id: str
    source: str
    target: str


class GraphView(msgspec.Struct, frozen=True):
    """The graph as it is, a document with states."""

    version: int
    revision: int
    name: str
    nodes: list[NodeView]
    connections: list[ConnectionView]


class Validation(msgspec.Struct, frozen=True):
    """Whether it would be accepted, and else everything that is wrong with it."""

    valid: bool
    problems: list[Problem]
    warnings: list[str]


@method("graph.get", role="viewer", http=Route("GET /api/graph", tagged=True))
async def get(call: Call) -> GraphView:
    """Give the whole graph: a document, with the state, ports and latency of every node."""
    return msgspec.convert(call.session.view(), GraphView)


@method(
    "graph.apply",
    role="operator",
    mutates=True,
    shell=Shell("apply <edits:file>", example="tonnetz apply swap.yaml --fade-ms 50"),
    http=Route("POST /api/graph/transactions", tagged=True),
)
async def apply(
    call: Call,
    edits: Edits,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    label: TransactionLabel = "",
    dry_run: DryRun = False,
    at: At | None = None,
    idempotency_key: IdempotencyKey | None = None,
) -> Receipt:
    """Apply edits as one transaction.

    All sound from the same block on; or none is applied, and every problem is told. A stale base revision is no
    obstacle as long as every edit still holds by itself; else it is a conflict.

    With `at` they take effect at the first block boundary at or after that frame or time, on the graph as it is by
    then, and only then comes the answer. Where that is past, they do at once, and a warning says how late.

    Whoever does not know whether a request arrived sends it again with the same `idempotency_key`. The same key for
    something else is a conflict; after a refusal it may be tried again.
    """
    from tonnetz.daemon.graph.document import edits_from_plain  # not needed to declare the method

    read_edits = edits_from_plain(edits)
    receipt = await call.session.apply(
        read_edits,
        caller=call.caller,
        base_revision=base_revision,
        strict=strict,
        fade_ms=fade_ms,
        label=label,
        dry_run=dry_run,
        at=at,
        idempotency_key=idempotency_key,
    )
    return hinted(call, receipt, read_edits)


@method(
    "graph.validate",
    role="viewer",
    shell=Shell("validate <text:file>", example="tonnetz validate studio.yaml"),
    http=Route("POST /api/graph/validate"),
)
async def validate(
    call: Call,
    text: DocumentText | None = None,
    document: Document | None = None,
    edits: Edits | None = None,
) -> Validation:
    """Check a graph document, or a list of edits.

    The document is given as text (YAML or JSON) or as an object. Nothing is changed. Every problem is told, with its
    place; what is accepted here would be accepted now.
    """
    exactly_one(text=text, document=document, edits=edits)
    from tonnetz.daemon.graph.document import edits_between, edits_from_plain, parse_document

    session = call.session
    try:
        if edits is not None:
            wanted = edits_from_plain(edits)
        else:
            data = document if text is None else await read(text)
            graph = parse_document(data, session.catalogue, session.limits, session.graph)
            wanted = list(edits_between(session.graph, graph, session.catalogue))
        receipt = await session.apply(wanted, caller=call.caller, dry_run=True)
    except Refusal as refusal:
        problems = list(refusal.problems) or [Problem(refusal.name, refusal.message)]
        return Validation(False, problems, [])
    return Validation(True, [], receipt.warnings)


@method(
    "graph.export",
    role="viewer",
    shell=Shell("export", example="tonnetz export > studio.yaml"),
    http=Route("GET /api/graph/export"),
)
async def export(call: Call, format: DocumentFormat = "yaml") -> str:
    """Give the graph as a document in YAML or JSON.

    It says what is set other than by default, and no secrets; `graph.import` takes it back. Nodes stand in the order
    sound flows, each on a line of its own where it fits, so that the same graph is always the same text.
    """
    import asyncio

    from tonnetz.daemon.document_text import write_document
    from tonnetz.daemon.graph.document import to_document
    from tonnetz.daemon.graph.ordering import in_order

    graph, catalogue = call.session.graph, call.session.catalogue
    return await asyncio.to_thread(lambda: write_document(to_document(in_order(graph), catalogue), format))


@method(
    "graph.import",
    role="operator",
    mutates=True,
    shell=Shell("import <text:file>", example="tonnetz import studio.yaml --fade-ms 500"),
    http=Route("PUT /api/graph", whole="document", without=("text",), tagged=True),
)
async def import_(
    call: Call,
    text: DocumentText | None = None,
    document: Document | None = None,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    label: TransactionLabel = "",
) -> Receipt:
    """Make the graph what a document says, in one transaction.

    The document is given as text (YAML or JSON) or as an object. Nodes of the same id and type are kept and play on.
    """
    exactly_one(text=text, document=document)
    data = document if text is None else await read(text)
    return await call.session.load(
        data, caller=call.caller, base_revision=base_revision, strict=strict, fade_ms=fade_ms, label=label
    )


def exactly_one(**alternatives: Any) -> None:
    """Refuse none and more than one of several parameters."""
    given = [name for name, value in alternatives.items() if value is not None]
    if len(given) != 1:
        message = f"Give one of {', '.join(alternatives)}{', not several' if given else ''}."
        raise refuse("invalid_params", [Problem("alternatives", message, name) for name in given or [""]])


async def read(text: str) -> Any:
    """The data of a YAML or JSON text. In a thread, as a long one takes seconds."""
    import asyncio

    from tonnetz.daemon.document_text import read_text

    return await asyncio.to_thread(read_text, text)
