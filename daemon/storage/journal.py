"""Entries and graphs in the tables, and out again: what is asked of SQLite, and in which form things lie there."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from ..entry import Entry, Step
from ..graph.model import Graph
from ..graph.secrecy import veiled_changes, veiled_edits, veiled_graph
from ..graph.spec import Catalogue
from .secret_file import MARK, SecretFile

ROWS_AT_ONCE = 50  # in one statement: the interpreter lock is let go and taken again once for each
QUICKLY = 1  # zlib's level: a graph of 10,000 nodes is packed in 20 ms, into a tenth

_COLUMNS = "revision, run, frame, author, kind, of, effective, size, crc, entry"
_ROW = f"({', '.join('?' * 10)})"


class Unreadable(Exception):
    """A row is there, but not what was written."""


class Forms:
    """How entries and graphs are written: as JSON, references in the place of secrets."""

    def __init__(self, catalogue: Catalogue, secret_file: SecretFile) -> None:
        self.catalogue = catalogue
        self.secrets = secret_file

    def written(self, entry: Entry) -> bytes:
        hide = self.secrets.hide
        veiled = msgspec.structs.replace(
            entry,
            edits=veiled_edits(entry.edits, self.catalogue, hide),
            inverse=veiled_edits(entry.inverse, self.catalogue, hide),
            changes=veiled_changes(entry.changes, self.catalogue, hide),
        )
        return msgspec.json.encode(veiled)

    def read(self, text: bytes, frame: int | None) -> Entry:
        entry: Entry = self._read(text, Entry)
        return entry if frame is None else msgspec.structs.replace(entry, frame=frame)

    def packed(self, graph: Graph) -> bytes:
        """A graph that may be written now: the secrets that it refers to are in their file. Raises OSError."""
        veiled = veiled_graph(graph, self.catalogue, self.secrets.hide)
        self.secrets.save()
        return zlib.compress(msgspec.json.encode(veiled), QUICKLY)

    def unpacked(self, packed: bytes) -> Graph:
        graph: Graph = self._read(decompressed(packed), Graph)
        return graph

    def _read(self, text: bytes, kind: Any) -> Any:
        try:
            if MARK in text:
                return msgspec.convert(self.secrets.reveal(msgspec.json.decode(text)), kind)
            return msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Unreadable(str(error)) from error


def decompressed(packed: bytes) -> bytes:
    """A packed graph's text. Raises Unreadable."""
    try:
        return zlib.decompress(packed)
    except zlib.error as error:
        raise Unreadable(f"a graph can't be unpacked: {error}") from error


def insert_entries(connection: sqlite3.Connection, run: int, rows: Sequence[tuple[Entry, bytes]]) -> None:
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[first : first + ROWS_AT_ONCE]
        values: list[Any] = []
        for entry, text in some:
            values += (entry.revision, run, entry.frame, entry.author, entry.kind, entry.of)
            values += (entry.is_step, len(text), zlib.crc32(text), text)
        places = ", ".join([_ROW] * len(some))
        connection.execute(f"INSERT INTO transactions ({_COLUMNS}) VALUES {places}", values)  # noqa: S608


def set_frames(connection: sqlite3.Connection, frames: dict[int, int]) -> None:
    """Notes at which frame transactions were adopted: revision -> frame."""
    pairs = list(frames.items())
    for first in range(0, len(pairs), ROWS_AT_ONCE):
        some = pairs[first : first + ROWS_AT_ONCE]
        places = ", ".join(["(?, ?)"] * len(some))
        connection.execute(
            f"WITH told (revision, frame) AS (VALUES {places}) UPDATE transactions SET frame = told.frame "  # noqa: S608
            "FROM told WHERE transactions.revision = told.revision",
            [value for pair in some for value in pair],
        )


def entries(connection: sqlite3.Connection, forms: Forms, where: str, values: Iterable[Any] = ()) -> Iterator[Entry]:
    """The entries that an SQL condition names, with its ORDER. Raises Unreadable, sqlite3.Error."""
    found = connection.execute(f"SELECT frame, crc, entry FROM transactions WHERE {where}", tuple(values))  # noqa: S608
    for frame, crc, text in found:
        if zlib.crc32(text) != crc:
            raise Unreadable("an entry of the journal is not what was written")
        yield forms.read(text, frame)


def steps(connection: sqlite3.Connection) -> list[Step]:
    """What undo and redo go by, oldest first."""
    found = connection.execute("SELECT revision, author, kind, of FROM transactions WHERE effective ORDER BY revision")
    return [Step(*row) for row in found]


def insert_graph(connection: sqlite3.Connection, forms: Forms, revision: int, graph: Graph) -> int:
    """Keeps a whole graph; gives its size in bytes. Raises sqlite3.Error, OSError."""
    packed = forms.packed(graph)
    connection.execute("INSERT OR REPLACE INTO graphs VALUES (?, ?)", (revision, packed))
    return len(packed)


def insert_rows(connection: sqlite3.Connection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Rows as they were read from another database."""
    for row in rows:
        places = ", ".join("?" * len(row))
        connection.execute(f"INSERT OR IGNORE INTO {table} VALUES ({places})", row)  # noqa: S608


def since_graph(connection: sqlite3.Connection) -> list[int]:
    """How many transactions there are after the newest whole graph, and how many bytes."""
    newest = (
        "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM transactions WHERE revision > (SELECT MAX(revision) FROM graphs)"
    )
    return list(connection.execute(newest).fetchone())


def prune(connection: sqlite3.Connection, most: int, most_bytes: int) -> None:
    """Forgets the oldest transactions, up to one of the kept graphs, so that `most` remain, or fewer if these are too
    large. What is left begins at a kept graph: every revision after that can still be told."""
    while True:
        kept = connection.execute("SELECT revision FROM graphs ORDER BY revision LIMIT 2").fetchall()
        if len(kept) < 2:
            return
        second = kept[1][0]
        left = connection.execute("SELECT COUNT(*) FROM transactions WHERE revision > ?", (second,)).fetchone()[0]
        size = connection.execute("SELECT COALESCE(SUM(size), 0) FROM transactions").fetchone()[0]
        if left < most and size <= most_bytes:
            return
        connection.execute("DELETE FROM transactions WHERE revision <= ?", (second,))
        connection.execute("DELETE FROM graphs WHERE revision < ?", (second,))
        connection.execute(
            "DELETE FROM runs WHERE id < COALESCE((SELECT MIN(run) FROM transactions), (SELECT MAX(id) FROM runs))"
        )
