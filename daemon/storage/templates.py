"""Templates: parts of graphs under names, to be put into any graph as often as one likes."""

from __future__ import annotations

import sqlite3
import time

import msgspec

from ..graph.model import Graph
from ..problems import Problem, Refusal, refuse, suggestion
from .database import transaction
from .journal import Forms

MOST = 1000


class StoredTemplate(msgspec.Struct, frozen=True):
    """A template, without its nodes. `time_ns` is CLOCK_REALTIME."""

    name: str
    help: str
    time_ns: int
    author: str


def listed(connection: sqlite3.Connection, forms: Forms) -> list[tuple[StoredTemplate, Graph]]:
    """All of them with their parts, by name."""
    found = connection.execute("SELECT name, help, time_ns, author, part FROM templates ORDER BY name")
    return [(StoredTemplate(*row[:4]), forms.unpacked(row[4])) for row in found]


def save(
    connection: sqlite3.Connection, forms: Forms, name: str, help: str, part: Graph, author: str, replace: bool
) -> StoredTemplate:
    """Keeps a part under a name. Refusal (conflict) where that is taken, unless it is to be replaced."""
    known = _names(connection)
    if name in known and not replace:
        raise Refusal("conflict", f"There is a template '{name}' already. Replace it, or choose another name.")
    if len(known) >= MOST and name not in known:
        raise refuse("conflict", [Problem("limit", f"There are {MOST} templates; delete some.", data={"limit": MOST})])
    made = StoredTemplate(name, help, time.time_ns(), author)
    packed = forms.packed(part)
    forms.secrets.save()
    with transaction(connection):
        values = (*msgspec.structs.astuple(made), packed)
        connection.execute("INSERT OR REPLACE INTO templates VALUES (?, ?, ?, ?, ?)", values)
    return made


def load(connection: sqlite3.Connection, forms: Forms, name: str) -> Graph:
    found = connection.execute("SELECT part FROM templates WHERE name = ?", (name,)).fetchone()
    if found is None:
        raise _unknown(connection, name)
    return forms.unpacked(found[0])


def delete(connection: sqlite3.Connection, name: str) -> None:
    with transaction(connection):
        gone = connection.execute("DELETE FROM templates WHERE name = ?", (name,)).rowcount
    if not gone:
        raise _unknown(connection, name)


def _names(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM templates")]


def _unknown(connection: sqlite3.Connection, name: str) -> Refusal:
    return Refusal("not_found", f"There is no template '{name}'.{suggestion(name, _names(connection))}")
