"""The single edits of `graph.*`: each is a transaction of its own, for shells, scripts and doors without batches."""

from __future__ import annotations

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Coordinate,
    Disconnect,
    GraphName,
    Label,
    MoveNode,
    NodeId,
    PortName,
    RemoveNode,
    RenameGraph,
    RenameNode,
    ReplaceNode,
    Strategy,
    TypeName,
)
from tonnetz.daemon.graph.model import Position
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.receipt import Receipt

from ..method_table import Call, Shell, method
from ..route import Route
from .graph import BaseRevision, DryRun, FadeMs, Strict
from .presence import hinted

Config = Annotated[dict[str, Any], Meta(description="parameters by name; those left out keep their value or default")]
Bypass = Annotated[bool, Meta(description="whether the node is passed by")]
ConnectionId = Annotated[str, Meta(max_length=256, description="a connection as source:target")]
RemovalStrategy = Annotated[
    Strategy,
    Meta(description="drain lets it play out; bridge joins what fed it to what it fed; immediate does not fade"),
]
ALONE = re.compile(r"edits\[0\](\.|: )?")  # the place of the only edit: whoever sent no list knows of none
Name = Annotated[GraphName, Meta(description="what people call the graph")]
NodeLabel = Annotated[Label, Meta(description="what people call the node")]


class BoundedPosition(Position, frozen=True):
    """Where an editor draws the node, in its own units."""

    x: Coordinate
    y: Coordinate


Place = Annotated[BoundedPosition, Meta(description="where an editor draws the node: {x: 40, y: 80}")]


@method(
    "graph.add_node",
    role="operator",
    mutates=True,
    shell=Shell("add <type> [<id>] [<config:words>...]", example="tonnetz add tone hum frequency=50 level_db=-40"),
    http=Route("POST /api/graph/nodes", tagged=True),
)
async def add_node(
    call: Call,
    type: TypeName,
    id: NodeId | None = None,
    config: Config | None = None,
    label: NodeLabel = "",
    position: Place | None = None,
    bypass: Bypass = False,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    dry_run: DryRun = False,
) -> Receipt:
    """Add a node.

    Without an id it is called after its type, as in `tone_1`.
    """
    edit = AddNode(type=type, id=id, config=config or {}, label=label, position=position, bypass=bypass)
    return await one(call, edit, base_revision, strict, fade_ms, dry_run)


@method(
    "graph.remove_node",
    role="operator",
    mutates=True,
    shell=Shell("rm <id>", example="tonnetz rm eq --strategy bridge"),
    http=Route("DELETE /api/graph/nodes/{id}", tagged=True),
)
async def remove_node(
    call: Call,
    id: NodeId,
    strategy: RemovalStrategy = "fade",
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    dry_run: DryRun = False,
) -> Receipt:
    """Remove a node and its connections."""
    return await one(call, RemoveNode(id=id, strategy=strategy), base_revision, strict, fade_ms, dry_run)


@method("graph.connect", role="operator", mutates=True, http=Route("POST /api/graph/connections", tagged=True))
async def connect(
    call: Call,
    source: PortName,
    target: PortName,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    dry_run: DryRun = False,
) -> Receipt:
    """Connect an output to an input; several connections into one input sum."""
    return await one(call, Connect(source=source, target=target), base_revision, strict, fade_ms, dry_run)


@method(
    "graph.disconnect",
    role="operator",
    mutates=True,
    http=Route("DELETE /api/graph/connections/{id}", without=("source", "target"), tagged=True),
)
async def disconnect(
    call: Call,
    id: ConnectionId | None = None,
    source: PortName | None = None,
    target: PortName | None = None,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    dry_run: DryRun = False,
) -> Receipt:
    """Take a connection away, named by its id or by its two ends."""
    edit = Disconnect(id=id, source=source, target=target)
    return await one(call, edit, base_revision, strict, fade_ms, dry_run)


@method(
    "graph.configure_node",
    role="operator",
    mutates=True,
    sets="config",
    shell=Shell("set <id> <config:words>...", example="tonnetz set eq bands.1.gain_db=3 bands.1.q=0.8"),
    http=Route("PATCH /api/graph/nodes/{id}", tagged=True),
)
async def configure_node(
    call: Call,
    id: NodeId,
    config: Config,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    dry_run: DryRun = False,
) -> Receipt:
    """Change parameters of a node; the others stay.

    `null` means the default. Single records of a list are named by their index: {"bands": {"1": {"gain_db": 3}}}.
    """
    return await one(call, ConfigureNode(id=id, config=config), base_revision, strict, fade_ms, dry_run)


@method(
    "graph.replace_node",
    role="operator",
    mutates=True,
    sets="type",
    shell=Shell("replace <id> <type> [<config:words>...]", example="tonnetz replace eq gain gain_db=-3"),
    http=Route("POST /api/graph/nodes/{id}/replace", tagged=True),
)
async def replace_node(
    call: Call,
    id: NodeId,
    type: TypeName,
    config: Config | None = None,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    dry_run: DryRun = False,
) -> Receipt:
    """Put another node under the same id.

    It may be of another type, or fresh of the same one. Connections that fit stay.
    """
    return await one(call, ReplaceNode(id=id, type=type, config=config or {}), base_revision, strict, fade_ms, dry_run)


@method(
    "graph.rename_node",
    role="operator",
    mutates=True,
    sets="label",
    shell=Shell("rename <id> <label>", example="tonnetz rename eq 'Warm and near'"),
    http=Route("POST /api/graph/nodes/{id}/rename", tagged=True),
)
async def rename_node(
    call: Call,
    id: NodeId,
    label: NodeLabel,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    dry_run: DryRun = False,
) -> Receipt:
    """Change a node's label. Its id stays."""
    return await one(call, RenameNode(id=id, label=label), base_revision, strict, None, dry_run)


@method(
    "graph.rename_graph",
    role="operator",
    mutates=True,
    shell=Shell("title <name>", example="tonnetz title 'Evening show'"),
    http=Route("POST /api/graph/rename", tagged=True),
)
async def rename_graph(
    call: Call,
    name: Name,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    dry_run: DryRun = False,
) -> Receipt:
    """Give the graph another name."""
    return await one(call, RenameGraph(name=name), base_revision, strict, None, dry_run)


@method(
    "graph.move_node",
    role="operator",
    mutates=True,
    sets="position",
    shell=Shell("move <id> <x> <y>", example="tonnetz move eq 240 80"),
    http=Route("POST /api/graph/nodes/{id}/move", tagged=True),
)
async def move_node(
    call: Call,
    id: NodeId,
    x: Coordinate,
    y: Coordinate,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    dry_run: DryRun = False,
) -> Receipt:
    """Change where an editor draws a node. No sound changes."""
    return await one(call, MoveNode(id=id, x=x, y=y), base_revision, strict, None, dry_run)


@method(
    "graph.bypass_node",
    role="operator",
    mutates=True,
    sets="bypass",
    shell=Shell("bypass <id> [<bypass>]", example="tonnetz bypass eq off"),
    http=Route("POST /api/graph/nodes/{id}/bypass", tagged=True),
)
async def bypass_node(
    call: Call,
    id: NodeId,
    bypass: Bypass = True,
    base_revision: BaseRevision | None = None,
    strict: Strict = False,
    fade_ms: FadeMs | None = None,
    dry_run: DryRun = False,
) -> Receipt:
    """Bypass a node, or end that; its settings are kept.

    A processor passes its input through; a source or a sink is silenced.
    """
    return await one(call, BypassNode(id=id, bypass=bypass), base_revision, strict, fade_ms, dry_run)


async def one(
    call: Call,
    edit: AnyEdit,
    base_revision: int | None,
    strict: bool,
    fade_ms: float | None,
    dry_run: bool,
) -> Receipt:
    """Apply a single edit; problems are placed in the caller's params, who has sent no list of edits."""
    try:
        receipt = await call.session.apply(
            [edit], caller=call.caller, base_revision=base_revision, strict=strict, fade_ms=fade_ms, dry_run=dry_run
        )
        return hinted(call, receipt, [edit])
    except Refusal as refusal:
        if not refusal.problems:
            raise
        problems = [
            msgspec.structs.replace(problem, where=ALONE.sub("", problem.where)) for problem in refusal.problems
        ]
        raise Refusal(refusal.name, ALONE.sub("", refusal.message), problems, **refusal.extra) from None
