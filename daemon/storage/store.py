"""What outlives the daemon, as the event loop sees it: handed over without waiting, answered in futures."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from ..entry import Entry
from ..graph.model import Graph
from ..graph.spec import Catalogue
from ..problems import Refusal
from .database import Durability, TooNew, words
from .journal import Forms, Unreadable, insert_graph
from .restoring import Restored
from .secret_file import SecretFile
from .status import StorageStatus
from .writer import End, Frame, Job, Record, Retention, Run, Task, Writer

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

CLOSING_PATIENCE_S = 30.0  # for a disk that takes its time; what was answered is on it already
LOCK = "lock"
MODE = 0o700  # of the folder, where we make it


class NotKept(Exception):
    """A transaction could not be written."""


class InUse(Exception):
    """Another process has locked the folder."""


class StorageUnusable(Exception):
    """Nothing can be stored in the folder that the configuration names. The text says why, and what to do."""


class Store:
    """Keeps transactions, graphs and secrets in a folder. `on_lost` hears, on the loop, that transactions handed over
    could not be kept; `on_news` hears what the log does, as a level and a message."""

    def __init__(self, folder: Path, durability: Durability, retention: Retention, catalogue: Catalogue) -> None:
        self.folder = folder
        self.status = StorageStatus("ok")
        self.on_lost: Callable[[str], None] = lambda _why: None
        self.on_news: Callable[[str, str], None] = lambda _level, _message: None
        self._durability = durability
        self._retention = retention
        self._forms = Forms(catalogue, SecretFile(folder, durability == "full"))
        self._epoch = 0
        self._waiting: dict[Record, asyncio.Future[None]] = {}
        self._outgoing: list[Job] = []  # of this turn of the loop: each hand-over wakes a thread, which costs
        self._writer: Writer | None = None
        self._lock: int | None = None
        self._loop = asyncio.get_running_loop()

    async def open(self, run: Run) -> Restored:
        """What was stored. Raises StorageUnusable."""
        notes: list[str] = []
        try:
            notes += await asyncio.to_thread(self._prepare)
            opened: asyncio.Future[Restored] = self._loop.create_future()
            self._writer = Writer(
                self.folder,
                self._durability,
                self._retention,
                self._forms,
                run,
                self,
                lambda restored, error: self._on_loop(_settle, opened, restored, error),
            )
            self._writer.start()
            restored = await opened
        except InUse:
            hint = "stop it first, or give this one a folder (storage.directory) and a socket of its own"
            await self.close()
            raise StorageUnusable(f"another daemon stores its graph in {self.folder}; {hint}") from None
        except (OSError, sqlite3.Error, TooNew) as error:
            await self.close()
            hint = "set storage.directory to a folder where it can, or `storage: false` to store nothing"
            raise StorageUnusable(f"nothing can be stored in {self.folder}: {words(error)}; {hint}") from error
        if self._forms.secrets.lost:
            lost = f"{len(self._forms.secrets.lost)} secrets are not in {self._forms.secrets.path}; set them again."
            notes.append(lost)
        for note in (*restored.notes, *notes):
            self.note(note)
        return restored

    def _prepare(self) -> list[str]:
        """The folder, and that no other daemon uses it. In a thread: disks may be slow."""
        self.folder.mkdir(mode=MODE, parents=True, exist_ok=True)
        self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse from None
        note = self._forms.secrets.load()
        return [note] if note else []

    async def close(self) -> None:
        """Everything handed over is written when this returns, if it can be."""
        if self._writer is not None and self._writer.is_alive():
            self._hand_over(End())
            self._hand_over_now()
            await asyncio.to_thread(self._writer.join, CLOSING_PATIENCE_S)
        self._writer = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # ---- Handing over ------------------------------------------------------------------------------------------------

    def keep(self, entry: Entry, graph: Graph) -> asyncio.Future[None]:
        """Done when the transaction, which made `graph`, is on disk; NotKept where it can't be."""
        record = Record(entry, graph, self._epoch)
        kept = self._waiting[record] = self._loop.create_future()
        self._hand_over(record)
        return kept

    def note_frame(self, revision: int, frame: int) -> None:
        """At which frame a transaction was adopted. It is written soon; nobody waits for that, as a recording that ends
        with a crash lacks more than the moment in which this may be lost."""
        self._hand_over(Frame(revision, frame))

    def begin_at(self, graph: Graph, revision: int) -> None:
        """What was stored goes on as this graph, which no transaction made."""

        def insert(connection: sqlite3.Connection, forms: Forms) -> None:
            insert_graph(connection, forms, revision, graph)

        self._hand_over(Task(insert, lambda _result, _error: None))

    async def ask(self, do: Callable[[sqlite3.Connection, Forms], Answer]) -> Answer:
        """What `do` gives, in the thread of the database. Refusal (unavailable) where that fails."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        self._hand_over(Task(do, lambda result, error: self._on_loop(_settle, answer, result, error)))
        try:
            return await answer
        except (sqlite3.Error, OSError) as error:
            raise Refusal("unavailable", f"The storage can't do that now: {words(error)}.") from error
        except Unreadable as error:
            raise Refusal("unavailable", f"What is stored of that can't be read: {error}.") from error

    def _hand_over(self, job: Job) -> None:
        if not self._outgoing:
            self._loop.call_soon(self._hand_over_now)
        self._outgoing.append(job)

    def _hand_over_now(self) -> None:
        if self._outgoing:
            assert self._writer is not None, "open() comes first"
            self._writer.jobs.put(self._outgoing)
            self._outgoing = []

    # ---- What the writer tells, on its thread ------------------------------------------------------------------------

    def kept(self, records: Sequence[Record]) -> None:
        self._on_loop(self._kept, records)

    def lost(self, records: Sequence[Record], why: str, epoch: int) -> None:
        self._on_loop(self._lost, records, why, epoch)

    def troubled(self, why: str) -> None:
        self._on_loop(self._troubled, why)

    def noticed(self, what: str) -> None:
        self._on_loop(self.note, what)

    def _on_loop(self, act: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left who could hear it
            self._loop.call_soon_threadsafe(act, *arguments)

    # ---- ... and on the loop's ---------------------------------------------------------------------------------------

    def _kept(self, records: Sequence[Record]) -> None:
        for record in records:
            _settle(self._waiting.pop(record, None), None, None)

    def _lost(self, records: Sequence[Record], why: str, epoch: int) -> None:
        self._epoch = epoch
        for record in records:
            _settle(self._waiting.pop(record, None), None, NotKept(why))
        self.on_lost(why)

    def _troubled(self, why: str) -> None:
        state: Literal["ok", "refusing"] = "refusing" if why else "ok"
        self.status = msgspec.structs.replace(self.status, state=state, message=why)
        if why:
            self._tell("error", f"Nothing can be stored for now: {why}. Changes are refused; what plays goes on.")
        else:
            self._tell("warning", "The storage works again.")

    def note(self, what: str) -> None:
        """Something went wrong and was dealt with: `status` tells it until the daemon ends."""
        self.status = msgspec.structs.replace(self.status, notes=(*self.status.notes, what))
        self._tell("error", what)

    def _tell(self, level: Literal["error", "warning"], message: str) -> None:
        log.log(logging.ERROR if level == "error" else logging.WARNING, "%s", message)
        self.on_news(level, message)


def _settle(future: asyncio.Future[Answer] | None, result: Answer, error: BaseException | None) -> None:
    """The future's result, unless nobody waits any more."""
    if future is None or future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
        future.exception()  # somebody may have hung up meanwhile
