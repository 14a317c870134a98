"""The one thread that uses the database.

Records that wait are written together, in one transaction of SQLite's: while a disk takes its time over some, more
gather, and thousands a second cost little more than one. A batch that can't be written is given back whole; so are
records that were handed over before their giver heard of that (an older `epoch`), as they build upon what is lost.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..entry import Entry
from ..graph.model import Graph
from . import journal
from .database import (
    Damaged,
    Durability,
    TooNew,
    is_damage,
    is_the_disks,
    open_database,
    open_without_writing,
    set_aside,
    transaction,
    words,
)
from .journal import Forms
from .restoring import Restored, restore, salvage
from .sweeping import sweep

log = logging.getLogger(__name__)

RETRY_S = 1.0  # between two looks whether a disk works again
# Below this much room changes are refused, rather than taken back one by one: more than the log that SQLite writes
# before it tidies up, and than nearly every single change. Whoever needs room has some left to make more.
ROOM_BYTES = 16 << 20
GRAPH_EVERY = 2000  # transactions between two whole graphs: some 0.1 s of reading at the next start
GRAPH_EVERY_BYTES = 4 << 20  # or as many bytes
# While many edit at once, this much time gathers their records into larger batches: threads that alternate faster than
# that spend their time waiting for the interpreter lock. A single edit after another is never held up.
GATHER_S = 0.001
FRAMES_S = 0.05  # how long frames wait for records to be written with
TIDY_BYTES = 4 << 20  # of the write-ahead log, before it goes into the database itself


@dataclass(frozen=True, eq=False)
class Record:
    """A transaction to be kept, and the graph that it made."""

    entry: Entry
    graph: Graph
    epoch: int


@dataclass(frozen=True, eq=False)
class Frame:
    """When a transaction was adopted, which is known later than the rest of it."""

    revision: int
    frame: int


@dataclass(frozen=True, eq=False)
class Task:
    """Anything else to be done with the database; `answer` gets what it gives or raises."""

    do: Callable[[sqlite3.Connection, Forms], Any]
    answer: Callable[[Any, BaseException | None], None]


class End:
    """The last job."""


Job = Record | Frame | Task | End


@dataclass(frozen=True)
class Run:
    """What the journal says of one run of the daemon."""

    program: str
    sample_rate: int
    block_frames: int


@dataclass(frozen=True)
class Retention:
    """How much of the past is kept."""

    transactions: int
    size_bytes: int


class Listener(Protocol):
    """Who hears how it went, on the writer's thread."""

    def kept(self, records: Sequence[Record]) -> None: ...

    def lost(self, records: Sequence[Record], why: str, epoch: int) -> None:
        """These are not on disk and will not be; records of an epoch before this one neither."""
        ...

    def troubled(self, why: str) -> None:
        """Nothing can be kept for now; empty: it can again."""
        ...

    def noticed(self, what: str) -> None: ...


class Writer(threading.Thread):
    """Opens the database, then does what is put into `jobs` until it is told to end."""

    def __init__(
        self,
        folder: Path,
        durability: Durability,
        retention: Retention,
        forms: Forms,
        run: Run,
        listener: Listener,
        opened: Callable[[Restored | None, BaseException | None], None],
    ) -> None:
        super().__init__(name="storage", daemon=True)  # a disk that hangs for good must not hang the end
        self.jobs: queue.SimpleQueue[list[Job]] = queue.SimpleQueue()
        self._folder = folder
        self._durability = durability
        self._retention = retention
        self._forms = forms
        self._about = run
        self._listener = listener
        self._opened = opened
        self._connection: sqlite3.Connection | None = None
        self._run = 0
        self._epoch = 0
        self._trouble = ""
        self._latest: tuple[int, Graph] = (0, Graph())  # the newest that is on disk
        self._frames: dict[int, int] = {}  # not written yet
        self._since_graph = [0, 0]  # transactions and bytes
        self._log_bytes = 0
        self._sweep: Generator[None, None, str] | None = None  # of secrets, as long as it is not done
        self._busy = False
        self._ends = False

    # ---- Its life ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            restored = self._open()
        except BaseException as error:  # noqa: BLE001 - whoever waits for it has to hear of it
            self._opened(None, error)
            return
        self._opened(restored, None)
        while not self._ends:
            jobs = self._waiting_jobs()
            try:
                self._work_off(jobs)
            except Exception as fault:  # whatever it is, those who wait have to hear of it
                log.exception("the storage met a fault")
                self._fail([job for job in jobs if isinstance(job, Record)], fault)
            if self._sweep is not None and not jobs:
                self._sweep_on(self._sweep)
        self._end()

    def _open(self) -> Restored:
        try:
            restored = self._begin()
        except Exception as error:
            if is_damage(error):
                restored = self._begin_anew(words(error))
            elif is_the_disks(error):
                restored = self._begin_without_writing(error)
            else:
                raise
        self._latest = (restored.revision, restored.graph or Graph())
        return restored

    def _begin(self) -> Restored:
        self._connection = open_database(self._folder, self._durability)
        restored = restore(self._connection, self._forms)
        if restored.graph is None:
            journal.insert_graph(self._connection, self._forms, 0, Graph())
        self._note_run(restored.revision)
        self._since_graph = journal.since_graph(self._connection)
        if self._forms.secrets.known:
            self._sweep = sweep(self._connection, self._forms.secrets)
        return restored

    def _begin_without_writing(self, error: BaseException) -> Restored:
        """The disk takes nothing, but what it holds can be played. Raises the error where not even that is so."""
        self._drop_connection()
        try:
            with contextlib.closing(open_without_writing(self._folder)) as connection:
                restored = restore(connection, self._forms)
        except (sqlite3.Error, Damaged):
            raise error from None
        self._trouble = words(error)
        self._listener.troubled(self._trouble)
        return restored

    def _note_run(self, revision: int) -> None:
        with transaction(self._database):
            row = (time.time_ns(), revision, self._about.program, self._about.sample_rate, self._about.block_frames)
            found = self._database.execute("INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?)", row)
            self._run = found.lastrowid or 0

    def _begin_anew(self, why: str) -> Restored:
        """A fresh database in the place of a damaged one, with what that still tells."""
        self._drop_connection()
        aside = set_aside(self._folder)
        restored, named = salvage(aside, self._forms)
        message = f"The stored graph was damaged ({why}). The database was set aside in {aside}."
        if restored.graph is None:
            message += f" Of the graph {'; '.join(restored.notes)}."
        else:
            message += f" What could be read of it begins again, at revision {restored.revision}."
        self._connection = open_database(self._folder, self._durability)
        with transaction(self._database):
            journal.insert_graph(self._database, self._forms, restored.revision, restored.graph or Graph())
            for table, rows in named.items():
                journal.insert_rows(self._database, table, rows)
        self._note_run(restored.revision)
        return restored._replace(notes=(message, *restored.notes))

    @property
    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_database(self._folder, self._durability)
        return self._connection

    def _end(self) -> None:
        if self._connection is None:
            return
        try:
            if not self._trouble:
                self._keep_graph(self._since_graph[0] > 0)
            self._connection.close()  # and with that, what is in the log goes into the database
        except (sqlite3.Error, OSError) as error:
            log.warning("closing the database: %s", words(error))

    # ---- Its work ----------------------------------------------------------------------------------------------------

    def _waiting_jobs(self) -> list[Job]:
        """All that wait. None where time has passed: to write frames that nothing came after, or to look whether a disk
        works again."""
        jobs: list[Job] = []
        patience_s = RETRY_S if self._trouble else FRAMES_S if self._frames else 0.0 if self._sweep else None
        try:
            jobs += self.jobs.get(timeout=patience_s)
            if self._busy:
                time.sleep(GATHER_S)
            while True:
                jobs += self.jobs.get_nowait()
        except queue.Empty:
            return jobs

    def _work_off(self, jobs: Sequence[Job]) -> None:
        records = [job for job in jobs if isinstance(job, Record)]
        self._frames.update((job.revision, job.frame) for job in jobs if isinstance(job, Frame))
        self._ends = any(isinstance(job, End) for job in jobs)
        stale = [record for record in records if record.epoch != self._epoch]
        if stale:
            self._listener.lost(stale, self._trouble or "an earlier change could not be kept", self._epoch)
        fresh = [record for record in records if record.epoch == self._epoch]
        tasks = [job for job in jobs if isinstance(job, Task)]
        if fresh or (self._frames and not self._trouble and (not jobs or tasks or self._ends)):
            self._keep(fresh)
        self._busy = len(fresh) > 1
        for task in tasks:
            self._do(task)
        self._look_after()

    def _keep(self, records: Sequence[Record]) -> None:
        try:
            self._attempt(lambda: self._write(records))
        except (sqlite3.Error, OSError, TooNew) as error:
            self._fail(records, error)
            return
        if records:
            self._latest = (records[-1].entry.revision, records[-1].graph)
            self._listener.kept(records)

    def _attempt(self, act: Callable[[], None]) -> None:
        """Does it; once more in a fresh database where this one turns out to be damaged."""
        try:
            act()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            revision, graph = self._latest
            restored = self._begin_anew(words(error))
            self._listener.noticed(restored.notes[0])
            with transaction(self._database):
                journal.insert_graph(self._database, self._forms, revision, graph)
            act()

    def _write(self, records: Sequence[Record]) -> None:
        if not self._run:  # it began on a disk that took nothing
            self._note_run(self._latest[0])
        rows = [(record.entry, self._forms.written(record.entry)) for record in records]
        self._forms.secrets.save()
        with transaction(self._database):
            journal.insert_entries(self._database, self._run, rows)
            journal.set_frames(self._database, self._frames)
        self._frames.clear()
        size = sum(len(text) for _, text in rows)
        self._log_bytes += size + 4096 * (1 + len(rows))
        self._since_graph[0] += len(rows)
        self._since_graph[1] += size

    def _fail(self, records: Sequence[Record], error: BaseException) -> None:
        self._trouble = words(error)
        self._epoch += 1
        self._drop_connection()
        self._listener.troubled(self._trouble)  # first: whoever hears of the loss and asks again is to be refused
        self._listener.lost(records, self._trouble, self._epoch)

    def _drop_connection(self) -> None:
        """After an error of the disk nothing that SQLite holds in memory is trusted; it is opened again."""
        if self._connection is not None:
            try:
                self._connection.close()
            except sqlite3.Error as error:
                log.debug("closing the database after an error: %s", error)
            self._connection = None
            self._sweep = None

    def _do(self, task: Task) -> None:
        try:
            task.answer(task.do(self._database, self._forms), None)
        except Exception as error:  # noqa: BLE001 - it is the asker's, who hears it
            task.answer(None, error)

    # ---- Its upkeep --------------------------------------------------------------------------------------------------

    def _look_after(self) -> None:
        try:
            if self._trouble:
                with transaction(self._database):  # a change of nothing that matters: does the disk take it?
                    self._database.execute("UPDATE pulse SET beats = beats + 1")
            room = self._room()
            why = "" if room >= ROOM_BYTES else f"only {room >> 20} MiB are left on the disk"
            if why != self._trouble:
                self._trouble = why
                self._listener.troubled(why)
            if not why:
                self._attempt(self._tidy_up)
        except (sqlite3.Error, OSError, TooNew) as error:
            if self._trouble != words(error):
                self._fail([], error)

    def _room(self) -> int:
        """Bytes that are left where the database lies."""
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def _sweep_on(self, sweep: Generator[None, None, str]) -> None:
        """Another piece of it, while nothing else is to be done."""
        try:
            next(sweep)
            return
        except StopIteration as end:
            if end.value:
                self._listener.noticed(end.value)
        except Exception as error:  # noqa: BLE001 - whatever it is, what is done for people goes on
            log.warning("secrets that nothing refers to any more are kept for now: %s", words(error))
        self._sweep = None

    def _tidy_up(self) -> None:
        self._keep_graph(self._since_graph[0] >= GRAPH_EVERY or self._since_graph[1] >= GRAPH_EVERY_BYTES)
        if self._log_bytes > TIDY_BYTES:
            self._log_bytes = 0
            self._database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def _keep_graph(self, due: bool) -> None:
        if not due:
            return
        self._since_graph = [0, 0]
        with transaction(self._database):
            self._log_bytes += journal.insert_graph(self._database, self._forms, *self._latest)
            journal.prune(self._database, self._retention.transactions, self._retention.size_bytes)
