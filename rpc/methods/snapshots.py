"""`snapshots.*`: whole graphs under names, to go back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.rfc3339 import written

from ..method_table import Call, Shell, method
from ..route import Route
from .graph import DryRun, FadeMs, TransactionLabel

if TYPE_CHECKING:
    from tonnetz.daemon.storage.snapshots import Snapshot
    from tonnetz.daemon.storage.store import Store

SnapshotName = Annotated[
    str,
    Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+\Z", description="the snapshot's name, one line"),
]
Replace = Annotated[bool, Meta(description="put it in the place of one of this name")]


class SnapshotView(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot: who took it, when (UTC), of which revision, and how large the graph was."""

    name: str
    revision: int
    time: str
    author: str
    nodes: int
    connections: int


@method(
    "snapshots.list",
    role="viewer",
    shell=Shell("snapshots", example="tonnetz snapshots"),
    http=Route("GET /api/snapshots"),
)
async def list_(call: Call) -> list[SnapshotView]:
    """List the snapshots, the newest first."""
    from tonnetz.daemon.storage.snapshots import listed

    found = await store_of(call).ask(lambda connection, _forms: listed(connection))
    return [view(snapshot) for snapshot in found]


@method(
    "snapshots.save",
    role="operator",
    mutates=True,
    shell=Shell("snapshot <name>", example="tonnetz snapshot 'before the show'"),
    http=Route("POST /api/snapshots"),
)
async def save(call: Call, name: SnapshotName, replace: Replace = False) -> SnapshotView:
    """Keep the graph as it is now under a name, until it is deleted.

    The whole graph is kept, secrets and all; a player's place in its file and a filter's memory are not part of it.
    """
    from tonnetz.daemon.storage import snapshots

    session = call.session
    graph, revision, author = session.graph, session.revision, call.caller.name
    made = await store_of(call).ask(
        lambda connection, forms: snapshots.save(connection, forms, name, graph, revision, author, replace)
    )
    return view(made)


@method(
    "snapshots.load",
    role="operator",
    mutates=True,
    shell=Shell("recall <name>", example="tonnetz recall evening"),
    http=Route("POST /api/snapshots/{name}/load", tagged=True),
)
async def load(
    call: Call,
    name: SnapshotName,
    fade_ms: FadeMs | None = None,
    label: TransactionLabel = "",
    dry_run: DryRun = False,
) -> Receipt:
    """Make the graph what a snapshot says, in one transaction.

    Nodes that both have are kept and play on; what differs fades. It can be undone like any other change.
    """
    from tonnetz.daemon.graph.document import edits_between
    from tonnetz.daemon.graph.mending import mended
    from tonnetz.daemon.storage import snapshots

    stored = await store_of(call).ask(lambda connection, forms: snapshots.load(connection, forms, name))
    session = call.session
    graph, notes = mended(stored, session.catalogue, session.limits)
    edits = edits_between(session.graph, graph, session.catalogue)
    receipt = await session.apply(
        edits, caller=call.caller, fade_ms=fade_ms, label=label or f"snapshot {name}", dry_run=dry_run
    )
    return msgspec.structs.replace(receipt, warnings=[*notes, *receipt.warnings])


@method(
    "snapshots.delete",
    role="operator",
    mutates=True,
    shell=Shell("forget <name>", example="tonnetz forget evening"),
    http=Route("DELETE /api/snapshots/{name}"),
)
async def delete(call: Call, name: SnapshotName) -> None:
    """Delete a snapshot. The graph is not changed."""
    from tonnetz.daemon.storage import snapshots

    await store_of(call).ask(lambda connection, _forms: snapshots.delete(connection, name))


def store_of(call: Call) -> Store:
    """Where things are kept; a Refusal where nothing is."""
    store = call.session.keeping.store
    if store is None:
        raise Refusal("unavailable", "This daemon stores nothing (`storage: false`).")
    return store


def view(snapshot: Snapshot) -> SnapshotView:
    return SnapshotView(
        name=snapshot.name,
        revision=snapshot.revision,
        time=written(snapshot.time_ns, "milliseconds"),
        author=snapshot.author,
        nodes=snapshot.nodes,
        connections=snapshot.connections,
    )
