"""Timed transactions: those that take effect at a frame, or at a time of day.

A timed transaction is what it would be if somebody typed it at that very moment, only exact. So it does not hold the
graph for itself: until then others see, and edit, the graph without it, and it is worked out on the graph as it is by
then. It is looked at when it is asked for, so that most mistakes are told at once: it has to hold now, or once those
have come that wait for an earlier time. What comes between can still keep it from holding, and then it is a conflict.
Whoever asked is answered when it sounds, is refused, or is cancelled; whether they still listen makes no difference.

To be exact it must not depend on this thread being on time. A second ahead it is worked out, with all that it needs
made (players open their files then), and handed to the engine with its frame; the audio thread carries it out at the
first block boundary at or after that. Transactions that wait there stand in a row, each worked out on the one before.

An edit without a date does not wait for them: they are taken back, it goes ahead, and they are worked out again on what
it leaves (`aside`). One that is due too soon for that counts as done instead: the edit is worked out on it and takes
effect in the same block, a moment later than it would have otherwise. Too soon is also what is due within the blocks
that are being stepped, as nobody knows how fast they pass.

While the engine stands still, so does its time, and what has a frame waits. A time of day comes all the same: then the
transaction is applied at the frame that stands, as any edit is.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from .acceptance import overtaken
from .caller import Caller
from .engine.parts import Part
from .keeping import Pending
from .preparation import Request, Standing, Worked, accept, submit, tried, work_out
from .problems import Problem, Refusal, refuse, suggestion
from .receipt import Receipt
from .rfc3339 import nanoseconds

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

FARTHEST_S = 3600.0  # beyond an hour nobody knows what the graph will look like; a calendar is another program's task
MOST_WAITING = 256  # a show's cues for an hour; they take a quarter of the engine's queue at most
LEAD_S = 1.0  # this thread may be held up for nearly so long without any of them being late
# One that is nearer than this is not taken back: to be worked out again takes some ms, and a busy machine may hold this
# thread up as long again.
MARGIN_S = 0.05
MARGIN_TIMES = 4  # of what working out took lately, where that is more
NEVER = 1 << 62  # a frame that no engine reaches


@dataclass(eq=False)
class Timed:
    """A transaction that waits. It was asked for with a frame or, in ns since 1970, with a time of day."""

    id: int
    request: Request
    at: int | str
    frame: int | None
    time_ns: int
    receipt: asyncio.Future[Receipt]
    since: int = 0  # the revision at which it was asked for
    due: int | None = None  # its frame, once it is known
    late_s: float = 0.0  # behind its time of day when it was handed over
    worked: Worked | None = None  # handed to the engine
    spare: Sequence[Part] = field(default=())  # what was made for it before it was taken back


class Schedule:
    """The timed transactions of a session that have yet to come."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._numbers = itertools.count(1)
        self._waiting: list[Timed] = []
        self._answering: set[asyncio.Task[None]] = set()
        self._handed: list[Timed] = []  # to the engine, in the order of their frames; each relies on the one before
        self._stepping_to = 0  # the frame up to which blocks are stepped, or were
        self._is_stepping = False
        self._working_s = 0.0  # what working one out took last
        self._timer: asyncio.TimerHandle | None = None
        self._set_aside = False
        self._closed = False

    # ---- Asking ------------------------------------------------------------------------------------------------------

    async def add(self, request: Request, at: int | str) -> Receipt:
        """Lets a transaction take effect at a frame or time, or at once and late where that is past.

        Raises a Refusal if it does not hold now, does not hold then, is cancelled, or has no place here.
        """
        timed = self._timed(request, at)
        if self._closed:
            raise Refusal("unavailable", "The daemon is about to end.")
        if len(self._waiting) + len(self._handed) >= MOST_WAITING:
            message = f"{MOST_WAITING} transactions wait for their time already; cancel some, or ask again later."
            raise refuse("unavailable", [Problem("limit", message, "at", {"limit": MOST_WAITING})])
        self._try(timed)
        timed.since = self._session.revision
        timed.id = next(self._numbers)
        timed.receipt.add_done_callback(_retrieve)  # nobody may be listening any more
        self._waiting.append(timed)
        about = {"author": request.caller.name, "origin": request.caller.origin, "label": request.label}
        self._session.events.publish("transaction_scheduled", {**about, "id": timed.id, "at": at})
        self.look()
        self._session.hear_engine()
        return await asyncio.shield(timed.receipt)

    def _try(self, timed: Timed) -> None:
        """Raises a Refusal if it holds neither on the present graph nor on the one to be expected."""
        session = self._session
        try:
            tried(session, timed.request, session.standing)
        except Refusal:
            expected = self._expected(timed)
            if expected.graph is session.graph:
                raise
            accept(session, timed.request, expected)

    def _expected(self, timed: Timed) -> Standing:
        """How things will stand when its time has come, if nobody does anything but what waits."""
        session, expected = self._session, self._session.standing
        for earlier in sorted([*self._handed, *self._waiting], key=self._order):
            if self._frame(earlier) <= self._frame(timed):
                with suppress(Refusal):
                    graph = accept(session, earlier.request, expected).graph
                    expected = replace(expected, graph=graph, revision=expected.revision + 1)
        return expected

    def foreseen(self, at: int | str) -> int:
        """At which frame a transaction asked for now would take effect; as far as that is known, else the present."""
        due, block = self._due(self._timed(None, at)), self._session.engine.block_frames
        return max(self._session.engine.frame, -(-(due or 0) // block) * block)

    def list(self) -> Sequence[Mapping[str, Any]]:
        """What waits, the first to come first: id, at, frame (None: not known yet), author, label, edits (how many)."""
        everything = sorted([*self._handed, *self._waiting], key=self._order)
        return [
            {
                "id": timed.id,
                "at": timed.at,
                "frame": self._due(timed),
                "author": timed.request.caller.name,
                "label": timed.request.label,
                "edits": len(timed.request.edits),
            }
            for timed in everything
        ]

    def made(self) -> Sequence[Part]:
        """The parts that wait for their transactions."""
        handed = (part for timed in self._handed if timed.worked for part in timed.worked.prepared.made)
        return [*handed, *(part for timed in self._waiting for part in timed.spare)]

    def cancel(self, number: int, caller: Caller) -> None:
        """Takes a transaction away before its time; whoever waits for it is refused. A Refusal where it is too late."""
        timed = next((timed for timed in (*self._waiting, *self._handed) if timed.id == number), None)
        if timed is None:
            near = suggestion(str(number), [str(each.id) for each in (*self._waiting, *self._handed)])
            raise Refusal("not_found", f"No transaction {number} waits for its time.{near}")
        with self.aside():
            if timed not in self._waiting:
                raise Refusal("conflict", f"It is too late: transaction {number} takes effect at frame {timed.due}.")
            self._end(timed, Refusal("conflict", f"{caller.name} cancelled it before its time. Nothing was changed."))

    def close(self) -> None:
        """Refuses all that waits, and whatever is asked for from now on."""
        self._closed = True
        self._call_back()
        for timed in list(self._waiting):
            self._end(timed, Refusal("unavailable", "The daemon ended before its time came. Nothing was changed."))

    # ---- Going on ----------------------------------------------------------------------------------------------------

    @contextmanager
    def aside(self) -> Iterator[None]:
        """For a change without a date: what waits in the engine is taken back meanwhile, and then handed over again."""
        self._call_back()
        self._set_aside = True
        try:
            yield
        finally:
            self._set_aside = False
            self.look()

    @contextmanager
    def stepping(self, frames: int) -> Iterator[None]:
        """While so many frames are stepped: what is due in them is exact, whoever edits meanwhile."""
        self.look(frames)
        self._is_stepping = True
        try:
            yield
        finally:
            self._is_stepping = False

    def enter_until(self, commit: int) -> None:
        """The engine told that it adopted this commit: so it did all that were handed over before."""
        while self._handed and self._number(self._handed[0]) <= commit:
            self._enter(self._handed.pop(0))
            asyncio.get_running_loop().call_soon(self.look)  # what did not hold with it ahead is judged now

    def rest(self) -> None:
        """The engine was stopped, and players with it: those opened ahead are closed, to be opened again later."""
        self._call_back()
        for timed in self._waiting:
            self._session.stage.close(timed.spare)
            timed.spare = ()
            timed.due = None
        self.look()

    def look(self, ahead: int = 0) -> None:
        """Hands over what is due soon. `ahead`: so many frames are about to be stepped."""
        if self._set_aside or not self._waiting:
            return
        self._stepping_to = max(self._stepping_to, self._session.engine.frame + ahead)
        horizon = max(self._horizon(), self._stepping_to)
        coming = [timed for timed in self._waiting if self._frame(timed) <= horizon]
        if coming and self._handed and min(map(self._frame, coming)) < self._frame(self._handed[-1]):
            self._call_back()
            coming = [timed for timed in self._waiting if self._frame(timed) <= horizon]
        for timed in sorted(coming, key=self._order):
            self._hand_over(timed)
        self._set_timer()

    def _horizon(self) -> int:
        """Up to which frame transactions are handed over."""
        session = self._session
        if session.runtime.state != "running" or session.engine.clock == "step":
            return session.engine.frame
        if session.engine.clock == "freewheel":
            return NEVER  # it runs as fast as it can: nobody could say how far ahead a second is
        return session.engine.frame + round(LEAD_S * session.engine.sample_rate)

    def _set_timer(self) -> None:
        """To look again when the next one comes in reach."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        session = self._session
        waits_s = [(timed.time_ns - time.time_ns()) / 1e9 for timed in self._waiting if timed.frame is None]
        if self._is_timely:
            frames = [self._frame(timed) - self._horizon() for timed in self._waiting]
            waits_s = [left / session.engine.sample_rate for left in frames]
        waits_s = [wait_s for wait_s in waits_s if wait_s > 0]  # the others wait for those handed over before them
        if waits_s:
            self._timer = asyncio.get_running_loop().call_later(min(waits_s), self._look_and_hear)

    def _look_and_hear(self) -> None:
        self._timer = None
        self.look()
        self._session.hear_engine()

    def _hand_over(self, timed: Timed) -> None:
        """Or ends it, if it does not hold; or leaves it for later, if it may hold by then."""
        session = self._session
        due = self._frame(timed)
        if timed.frame is None and not self._is_timely:
            timed.late_s = (time.time_ns() - timed.time_ns) / 1e9
        before = self._handed[-1].worked.after if self._handed and self._handed[-1].worked else session.standing
        began = time.perf_counter()
        try:
            session.keeping.check()
            worked = work_out(session, timed.request, before, timed.spare)
            timed.spare = ()
            submit(session, worked, due)
        except Refusal as refusal:
            if not self._handed:  # else it may hold yet, if one before it does not come to pass
                self._end(timed, self._conflict(timed, refusal))
            return
        except Exception:
            log.exception("transaction %d could not be worked out", timed.id)
            self._end(timed, Refusal("internal_error", "Internal error"))
            return
        self._working_s = time.perf_counter() - began
        self._waiting.remove(timed)
        self._handed.append(timed)
        timed.worked, timed.due = worked, due
        session.let_begin(worked.prepared.made)

    def _conflict(self, timed: Timed, refusal: Refusal) -> Refusal:
        """It held when it was asked for: so what keeps it from holding came since."""
        session = self._session
        if refusal.name in ("conflict", "unavailable") or session.revision == timed.since:
            return refusal
        return overtaken(session.standing.base(session.history), timed.since, session.catalogue, refusal)

    def _call_back(self) -> None:
        """Takes back what waits in the engine, the last first. What is too near to be taken back counts as done."""
        sure, stage = self._handed, self._session.stage
        self._handed = []
        while sure and (last := sure[-1]).worked and not self._is_near(last) and stage.withdraw(last.worked.prepared):
            last.spare, last.worked = last.worked.prepared.made, None
            self._waiting.append(sure.pop())
        for timed in sure:
            self._enter(timed)

    def _is_near(self, timed: Timed) -> bool:
        session = self._session
        if self._is_stepping:
            return self._frame(timed) <= self._stepping_to - session.engine.block_frames
        if not self._is_timely:
            return False
        margin_s = max(MARGIN_S, MARGIN_TIMES * self._working_s)
        return self._frame(timed) - session.engine.frame < margin_s * session.engine.sample_rate

    def _enter(self, timed: Timed) -> None:
        """It is what the graph is from now on."""
        assert timed.worked is not None
        worked, session = timed.worked, self._session
        pending = session.enter(worked, self._frame(timed))
        task = asyncio.create_task(self._answer(timed, worked, session.revision, pending))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, timed: Timed, worked: Worked, revision: int, pending: Pending) -> None:
        """Once it both sounds and is stored."""
        session = self._session
        frame = await asyncio.shield(pending.adopted)
        try:
            await session.keeping.stored(pending)
        except Refusal as refusal:
            if not timed.receipt.done():
                timed.receipt.set_exception(refusal)
            return
        if not timed.receipt.done():
            receipt = session.receipt(revision, frame, worked.draft, worked.prepared.carried)
            timed.receipt.set_result(self._late(timed, receipt))

    def _late(self, timed: Timed, receipt: Receipt) -> Receipt:
        """The receipt, with a warning where the transaction came too late."""
        engine = self._session.engine
        boundary = -(-self._frame(timed) // engine.block_frames) * engine.block_frames
        late_s = max((receipt.frame - boundary) / engine.sample_rate, timed.late_s)
        if late_s <= engine.block_frames / engine.sample_rate / 2:
            return receipt
        frames = round(late_s * engine.sample_rate)
        warning = f"It was {1000 * late_s:.1f} ms ({frames} frames) late: {timed.at} was past when it could be applied."
        return msgspec.structs.replace(receipt, warnings=[*receipt.warnings, warning])

    def _end(self, timed: Timed, refusal: Refusal) -> None:
        """It will not come to pass."""
        self._waiting.remove(timed)
        self._session.stage.close(timed.spare)
        timed.spare = ()
        caller = timed.request.caller
        about = {"author": caller.name, "origin": caller.origin, "label": timed.request.label}
        told = {**about, "id": timed.id, "error": refusal.name, "message": refusal.message}
        self._session.events.publish("transaction_dropped", told)
        if not timed.receipt.done():
            timed.receipt.set_exception(refusal)

    # ---- Times -------------------------------------------------------------------------------------------------------

    def _timed(self, request: Request | None, at: int | str) -> Timed:
        """Raises a Refusal where the time is no time, or too far away."""
        session = self._session
        moment_ns = 0
        if isinstance(at, int):
            ahead_s = (at - session.engine.frame) / session.engine.sample_rate
        else:
            moment_ns = nanoseconds(at)
            ahead_s = (moment_ns - time.time_ns()) / 1e9
        if ahead_s > FARTHEST_S:
            message = f"at lies {ahead_s:.0f} s ahead; {FARTHEST_S:.0f} s are possible."
            raise refuse("invalid_params", [Problem("out_of_range", message, "at", {"maximum_s": FARTHEST_S})])
        frame = at if isinstance(at, int) else None
        nobody = Request(edits=(), caller=Caller("nobody", "viewer", ""))
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        return Timed(0, request or nobody, at, frame, moment_ns, receipt)

    @property
    def _is_timely(self) -> bool:
        """Whether the engine's time goes as the time of day does."""
        return self._session.runtime.state == "running" and self._session.engine.clock == "internal"

    def _due(self, timed: Timed) -> int | None:
        """Its frame; None: not known yet."""
        if timed.frame is not None:
            return timed.frame
        if timed.due is not None:
            return timed.due
        status, engine = self._session.engine.status(), self._session.engine
        if self._is_timely and status.frame_time_ns:
            return max(0, status.frame + (timed.time_ns - status.frame_time_ns) * engine.sample_rate // 1_000_000_000)
        return engine.frame if time.time_ns() >= timed.time_ns and not self._is_timely else None

    def _frame(self, timed: Timed) -> int:
        due = self._due(timed)
        return NEVER if due is None else due

    def _order(self, timed: Timed) -> tuple[int, int]:
        return self._frame(timed), timed.id

    def _number(self, timed: Timed) -> int:
        assert timed.worked is not None
        return timed.worked.prepared.commit.number


def _retrieve(receipt: asyncio.Future[Receipt]) -> None:
    if not receipt.cancelled():
        receipt.exception()
