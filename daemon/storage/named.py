"""Graphs under names, whole ones or parts, until somebody deletes them: what snapshots and templates have in common."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

import msgspec

from ..graph.model import Graph
from ..problems import Problem, Refusal, refuse, suggestion
from .database import transaction
from .journal import Forms, Unreadable

MOST = 1000  # of each kind: a scene for every day of three years


@dataclass(frozen=True)
class NamedGraphs:
    """A table of them. Its columns are the fields of a record of their own, beginning with the name, and last the
    graph."""

    table: str
    column: str  # that of the graph
    noun: str  # what people call one

    def save(
        self, connection: sqlite3.Connection, forms: Forms, record: msgspec.Struct, graph: Graph, replace: bool
    ) -> None:
        """Keeps a graph under the record's name. Refusal (conflict) where that is taken, unless it is to be
        replaced."""
        row: tuple[Any, ...] = msgspec.structs.astuple(record)
        name, known = row[0], self.names(connection)
        if name in known and not replace:
            message = f"There is a {self.noun} '{name}' already. Replace it, or choose another name."
            raise Refusal("conflict", message)
        if len(known) >= MOST and name not in known:
            message = f"There are {MOST} {self.noun}s; delete some."
            raise refuse("conflict", [Problem("limit", message, data={"limit": MOST})])
        row += (forms.packed(graph),)
        with transaction(connection):
            places = ", ".join("?" * len(row))
            connection.execute(f"INSERT OR REPLACE INTO {self.table} VALUES ({places})", row)  # noqa: S608

    def load(self, connection: sqlite3.Connection, forms: Forms, name: str) -> Graph:
        """Refusal where there is none of this name (not_found), or it can't be read (unavailable)."""
        found = self.packed(connection, name)
        if found is None:
            raise self._unknown(connection, name)
        try:
            return forms.unpacked(found)
        except Unreadable as error:
            raise Refusal("unavailable", f"The {self.noun} '{name}' can't be read ({error}); delete it.") from error

    def delete(self, connection: sqlite3.Connection, name: str) -> None:
        with transaction(connection):
            gone = connection.execute(f"DELETE FROM {self.table} WHERE name = ?", (name,)).rowcount  # noqa: S608
        if not gone:
            raise self._unknown(connection, name)

    def names(self, connection: sqlite3.Connection) -> list[str]:
        return [row[0] for row in connection.execute(f"SELECT name FROM {self.table}")]  # noqa: S608

    def packed(self, connection: sqlite3.Connection, name: str) -> bytes | None:
        """The graph as it lies there; None where there is none."""
        query = f"SELECT {self.column} FROM {self.table} WHERE name = ?"  # noqa: S608
        found = connection.execute(query, (name,)).fetchone()
        return found[0] if found else None

    def _unknown(self, connection: sqlite3.Connection, name: str) -> Refusal:
        known = suggestion(name, self.names(connection))
        return Refusal("not_found", f"There is no {self.noun} '{name}'.{known}")
