"""Templates: parts of graphs under names, to be put into any graph as often as one likes."""

from __future__ import annotations

import logging
import sqlite3
import time

import msgspec

from ..graph.model import Graph
from .journal import Forms, Unreadable
from .named import NamedGraphs

log = logging.getLogger(__name__)

TEMPLATES = NamedGraphs(table="templates", column="part", noun="template")

load = TEMPLATES.load
delete = TEMPLATES.delete


class StoredTemplate(msgspec.Struct, frozen=True):
    """A template, without its nodes. `time_ns` is CLOCK_REALTIME."""

    name: str
    help: str
    time_ns: int
    author: str


def listed(connection: sqlite3.Connection, forms: Forms) -> list[tuple[StoredTemplate, Graph]]:
    """All of them that can be read, with their parts, by name."""
    found = []
    columns = ", ".join(StoredTemplate.__struct_fields__)
    for *row, part in connection.execute(f"SELECT {columns}, part FROM templates ORDER BY name"):  # noqa: S608
        template = StoredTemplate(*row)
        try:
            found.append((template, forms.unpacked(part)))
        except Unreadable as error:
            log.error("the template '%s' can't be read (%s); delete it", template.name, error)
    return found


def save(
    connection: sqlite3.Connection, forms: Forms, name: str, help: str, part: Graph, author: str, replace: bool
) -> StoredTemplate:
    """Keeps a part under a name. Refusal (conflict) where that is taken, unless it is to be replaced."""
    made = StoredTemplate(name, help, time.time_ns(), author)
    TEMPLATES.save(connection, forms, made, part, replace)
    return made
