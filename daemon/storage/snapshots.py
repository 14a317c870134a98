"""Named snapshots: whole graphs that somebody wanted to keep, until somebody deletes them."""

from __future__ import annotations

import sqlite3
import time

import msgspec

from ..graph.model import Graph
from ..problems import Problem, Refusal, refuse, suggestion
from .database import transaction
from .journal import Forms

MOST = 1000  # snapshots: a scene for every day of three years


class Snapshot(msgspec.Struct, frozen=True):
    """A named snapshot, without its graph. `time_ns` is CLOCK_REALTIME."""

    name: str
    revision: int
    time_ns: int
    author: str
    nodes: int
    connections: int


def listed(connection: sqlite3.Connection) -> list[Snapshot]:
    """All of them, newest first."""
    columns = ", ".join(Snapshot.__struct_fields__)
    found = connection.execute(f"SELECT {columns} FROM snapshots ORDER BY time_ns DESC, name")  # noqa: S608
    return [Snapshot(*row) for row in found]


def save(
    connection: sqlite3.Connection, forms: Forms, name: str, graph: Graph, revision: int, author: str, replace: bool
) -> Snapshot:
    """Keeps a graph under a name. Refusal (conflict) where that is taken, unless it is to be replaced."""
    known = [row[0] for row in connection.execute("SELECT name FROM snapshots")]
    if name in known and not replace:
        raise Refusal("conflict", f"There is a snapshot '{name}' already. Replace it, or choose another name.")
    if len(known) >= MOST and name not in known:
        raise refuse("conflict", [Problem("limit", f"There are {MOST} snapshots; delete some.", data={"limit": MOST})])
    made = Snapshot(name, revision, time.time_ns(), author, len(graph.nodes), len(graph.connections))
    packed = forms.packed(graph)
    forms.secrets.save()
    with transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?)", (*msgspec.structs.astuple(made), packed)
        )
    return made


def load(connection: sqlite3.Connection, forms: Forms, name: str) -> Graph:
    found = connection.execute("SELECT graph FROM snapshots WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise _unknown(connection, name)
    return forms.unpacked(found[0])


def delete(connection: sqlite3.Connection, name: str) -> None:
    with transaction(connection):
        gone = connection.execute("DELETE FROM snapshots WHERE name = ?", (name,)).rowcount
    if not gone:
        raise _unknown(connection, name)


def _unknown(connection: sqlite3.Connection, name: str) -> Refusal:
    known = [row[0] for row in connection.execute("SELECT name FROM snapshots")]
    return Refusal("not_found", f"There is no snapshot '{name}'.{suggestion(name, known)}")
