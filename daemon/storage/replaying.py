"""A run of the daemon as its journal tells it: what it began with, and every transaction with its frame."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import NamedTuple

from ..entry import Entry
from ..graph.model import Graph
from ..graph.spec import Catalogue
from ..problems import Refusal
from .database import FILE, open_to_read, words
from .journal import Forms, Unreadable, entries
from .restoring import graph_at
from .secret_file import SecretFile


class RecordedRun(NamedTuple):
    """`graph` is that of `revision`, with which the run began; the transactions followed, oldest first. The frame of
    the last ones is None where the daemon ended before it was written."""

    number: int
    sample_rate: int
    block_frames: int
    graph: Graph
    revision: int
    entries: tuple[Entry, ...]


def recorded_run(folder: Path, catalogue: Catalogue, number: int | None = None) -> RecordedRun:
    """The newest run in the storage's folder, or that of a number; the daemon may be at work meanwhile. Refusal where
    it can't be told any more."""
    forms = Forms(catalogue, SecretFile(folder, sync=False))
    with contextlib.suppress(PermissionError):  # without it, secrets are empty: nothing that is rendered needs them
        forms.secrets.load()
    try:
        with contextlib.closing(open_to_read(folder)) as connection:
            return _read(connection, forms, number)
    except (sqlite3.Error, Unreadable) as error:
        raise Refusal("unavailable", f"The journal {folder / FILE} can't be read: {words(error)}.") from error


def _read(connection: sqlite3.Connection, forms: Forms, number: int | None) -> RecordedRun:
    known = connection.execute("SELECT id, sample_rate, block_frames, revision FROM runs ORDER BY id").fetchall()
    run = next((run for run in reversed(known) if number in (None, run[0])), None)
    if run is None:
        numbers = f"{known[0][0]} to {known[-1][0]}" if known else "none"
        raise Refusal("not_found", f"The journal tells of no run {number or ''}; those kept: {numbers}.")
    found = tuple(entries(connection, forms, "run = ? ORDER BY revision", (run[0],)))
    # Where something of the stored graph had to be left out, the run began at a revision that no transaction made.
    revision = found[0].revision - 1 if found else run[3]
    graph = graph_at(connection, forms, revision) if revision >= run[3] else None
    if graph is None:
        raise Refusal("not_found", f"The beginning of run {run[0]} is no longer kept (storage.history_transactions).")
    return RecordedRun(run[0], run[1], run[2], graph, revision, found)
