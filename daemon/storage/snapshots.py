"""Named snapshots: whole graphs that somebody wanted to keep."""

from __future__ import annotations

import sqlite3
import time

import msgspec

from ..graph.model import Graph
from .journal import Forms
from .named import NamedGraphs

SNAPSHOTS = NamedGraphs(table="snapshots", column="graph", noun="snapshot")

load = SNAPSHOTS.load
delete = SNAPSHOTS.delete


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
    made = Snapshot(name, revision, time.time_ns(), author, len(graph.nodes), len(graph.connections))
    SNAPSHOTS.save(connection, forms, made, graph, replace)
    return made
