"""Between accepted and told: a transaction is answered, and events tell of it, once it both sounds and is stored.

The engine and the disk work at the same time. Where the disk fails, what it did not take is taken back: nobody was told
of it, and nobody will be, but those who asked hear why. Until the disk works again, changes are refused beforehand.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .entry import Entry
from .graph.difference import difference
from .graph.model import Graph
from .preparation import Worked
from .problems import Refusal
from .storage.status import OFF, StorageStatus
from .storage.store import NotKept, Store

log = logging.getLogger(__name__)

DISK_PATIENCE_S = 30.0  # for a disk that neither takes a transaction nor fails: a network's, or one that spins up


def entry_of(revision: int, worked: Worked, before: Graph) -> Entry:
    """What the history and the journal say of a transaction."""
    request, accepted = worked.draft.request, worked.draft.accepted
    return Entry(
        revision=revision,
        author=request.caller.name,
        origin=request.caller.origin,
        label=request.label,
        kind=request.kind,
        of=request.of,
        edits=tuple(request.edits),
        inverse=accepted.inverse,
        ids=accepted.ids,
        changes=difference(before, accepted.graph, accepted.affected),
        options={} if request.fade_ms is None else {"fade_ms": request.fade_ms},
        time_ns=time.time_ns(),
        known=worked.prepared.known,
    )


@dataclass(eq=False)
class Pending:
    """A transaction that was handed to the engine."""

    entry: Entry
    before: Graph
    adopted: asyncio.Future[int]  # the frame, once it sounds
    tell: Callable[[int], None]
    kept: asyncio.Future[None] | None = None  # None: nothing is stored
    frame: int | None = field(default=None, init=False)

    @property
    def is_kept(self) -> bool:
        return self.kept is None or (self.kept.done() and self.kept.exception() is None)


class Keeping:
    """The transactions under way, oldest first. `take_back` leads the graph back to an earlier one, and forgets the
    entries that came after it."""

    def __init__(self, take_back: Callable[[Graph, int], None]) -> None:
        self.store: Store | None = None
        self._take_back = take_back
        self._pending: deque[Pending] = deque()

    def use(self, store: Store) -> None:
        """Stores everything from now on."""
        self.store = store
        store.on_lost = self._lost

    @property
    def status(self) -> StorageStatus:
        return self.store.status if self.store else OFF

    def check(self) -> None:
        """Refuses a change while none can be stored."""
        if self.status.state == "refusing":
            why = f"Nothing can be stored now: {self.status.message}"
            raise Refusal(
                "unavailable", f"{why}. So nothing is changed; what plays goes on. Make room, or see the log."
            )

    def submitted(
        self, entry: Entry, before: Graph, after: Graph, adopted: asyncio.Future[int], tell: Callable[[int], None]
    ) -> Pending:
        """The engine has it; now it is to be stored. `tell` is called with its frame when both are done, in order."""
        kept = self.store.keep(entry, after) if self.store else None
        pending = Pending(entry, before, adopted, tell, kept)
        self._pending.append(pending)
        if kept is not None:
            kept.add_done_callback(lambda _: self._tell())
        return pending

    def sounds(self, pending: Pending, frame: int) -> None:
        """The engine has adopted it."""
        pending.frame = frame
        if self.store is not None:
            self.store.note_frame(pending.entry.revision, frame)
        self._tell()

    async def stored(self, pending: Pending) -> None:
        """Returns when it is on disk. Refusal where it can't be: then it has been taken back."""
        if pending.is_kept:
            return
        assert pending.kept is not None
        try:
            await asyncio.wait_for(asyncio.shield(pending.kept), DISK_PATIENCE_S)
        except NotKept as error:
            message = f"The change could not be stored ({error}), and so it was taken back. Make room, or see the log."
            raise Refusal("unavailable", message) from error
        except TimeoutError:
            message = f"The change sounds, but the disk has not taken it for {DISK_PATIENCE_S:.0f} s."
            raise Refusal("timeout", message, revision=pending.entry.revision) from None

    def _tell(self) -> None:
        while self._pending and self._pending[0].frame is not None and self._pending[0].is_kept:
            first = self._pending.popleft()
            assert first.frame is not None
            first.tell(first.frame)

    def _lost(self, _why: str) -> None:
        """The disk took none of what is not kept by now."""
        lost = [pending for pending in self._pending if not pending.is_kept]
        if not lost:
            return
        self._pending = deque(pending for pending in self._pending if pending.is_kept)
        try:
            self._take_back(lost[0].before, lost[0].entry.revision)
        except Exception:  # whatever it is: the graph and the disk differ now, and somebody has to know
            log.exception("what could not be stored could not be taken back either")
