"""What a database remembers, put together: the graph as it was left, and what led to it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

from ..entry import Entry, Step
from ..graph.difference import travelled
from ..graph.model import Graph
from .database import Damaged, open_to_read, words
from .journal import Forms, Unreadable, entries, steps
from .snapshots import SNAPSHOTS
from .templates import TEMPLATES

RECENT = 1000  # entries given back whole: as many as the history keeps at hand
RECENT_BYTES = 8 << 20  # of JSON, where they are large


class Restored(NamedTuple):
    """`graph` is None where nothing was stored. `notes` say, for people, what was lost on the way."""

    graph: Graph | None = None
    revision: int = 0
    entries: tuple[Entry, ...] = ()
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


Row = tuple[object, ...]


def restore(connection: sqlite3.Connection, forms: Forms) -> Restored:
    """The whole of it. Raises Damaged where something can't be read."""
    try:
        found = connection.execute("SELECT revision, graph FROM graphs ORDER BY revision DESC LIMIT 1").fetchone()
        base, revision = (forms.unpacked(found[1]), found[0]) if found else (Graph(), 0)
        later = list(entries(connection, forms, "revision > ? ORDER BY revision", (revision,)))
        if revision == 0 and not later:
            return Restored()
        graph = travelled(base, (change for entry in later for change in entry.changes))
        oldest = _oldest_at_hand(connection)
        recent = tuple(entries(connection, forms, "revision >= ? ORDER BY revision", (oldest,)))
        last = later[-1].revision if later else revision
        return Restored(graph, last, recent, tuple(steps(connection)))
    except Unreadable as error:
        raise Damaged(str(error)) from error


def graph_at(connection: sqlite3.Connection, forms: Forms, revision: int) -> Graph | None:
    """The graph as it was at a revision. None: that is no longer kept. Raises Unreadable, sqlite3.Error."""
    found = connection.execute(
        "SELECT revision, graph FROM graphs WHERE revision <= ? ORDER BY revision DESC LIMIT 1", (revision,)
    ).fetchone()
    if found is None:
        return None
    since = entries(connection, forms, "revision > ? AND revision <= ? ORDER BY revision", (found[0], revision))
    return travelled(forms.unpacked(found[1]), (change for entry in since for change in entry.changes))


def _oldest_at_hand(connection: sqlite3.Connection) -> int:
    """The first revision of those that are given back whole."""
    size, oldest = 0, 0
    for revision, more in connection.execute(
        "SELECT revision, size FROM transactions ORDER BY revision DESC LIMIT ?", (RECENT,)
    ):
        size, oldest = size + more, revision
        if size > RECENT_BYTES:
            break
    return oldest


NAMED = (SNAPSHOTS, TEMPLATES)  # whose rows stand for themselves


def salvage(folder: Path, forms: Forms) -> tuple[Restored, dict[str, list[Row]]]:
    """The newest whole graph in a damaged database, as far as transactions after it can be read; and the rows of the
    tables in `NAMED` that can."""
    notes: list[str] = []
    try:
        connection = open_to_read(folder)
    except sqlite3.Error as error:
        return Restored(notes=(f"nothing of it can be read: {words(error)}",)), {}
    with contextlib.closing(connection):
        base = _newest_graph(connection, forms)
        named = {kind.table: _readable(connection, f"SELECT * FROM {kind.table}") for kind in NAMED}  # noqa: S608
        if base is None:
            return Restored(notes=("it holds no graph that can be read",)), named
        graph, revision = base
        count = 0
        try:
            for entry in entries(connection, forms, "revision > ? ORDER BY revision", (revision,)):
                graph, revision, count = travelled(graph, entry.changes), entry.revision, count + 1
        except (Unreadable, sqlite3.Error) as error:
            notes.append(f"transactions after revision {revision} can't be read: {words(error)}")
        return Restored(graph, revision, notes=tuple(notes)), named


def _newest_graph(connection: sqlite3.Connection, forms: Forms) -> tuple[Graph, int] | None:
    """One by one, as reading any of them may fail."""
    beyond = below = 1 << 62  # no revision is so high
    while True:
        try:
            found = connection.execute(
                "SELECT revision FROM graphs WHERE revision < ? ORDER BY revision DESC LIMIT 1", (below,)
            ).fetchone()
            if found is None:
                return None
            below = found[0]
            packed = connection.execute("SELECT graph FROM graphs WHERE revision = ?", (below,)).fetchone()[0]
            return forms.unpacked(packed), below
        except Unreadable:
            continue
        except sqlite3.Error:
            if below == beyond:
                return None
            continue


def _readable(connection: sqlite3.Connection, query: str) -> list[Row]:
    rows: list[Row] = []
    with contextlib.suppress(sqlite3.Error):
        for row in connection.execute(query):
            rows.append(row)  # noqa: PERF402 - all before the one that fails
    return rows
