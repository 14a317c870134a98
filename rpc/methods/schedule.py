"""`schedule.*`: the transactions that wait for their time (`graph.apply` with `at`)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ..method_table import Call, Shell, method
from ..route import Route

ScheduleId = Annotated[int, Meta(ge=1, le=2**53, description="the number of a transaction, as schedule.list gives it")]


class Scheduled(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction that waits: `at` as asked for; `frame` where that is known; how many `edits` it has."""

    id: int
    at: int | str
    frame: int | None
    author: str
    label: str
    edits: int


@method(
    "schedule.list",
    role="viewer",
    shell=Shell("scheduled", example="tonnetz scheduled"),
    http=Route("GET /api/schedule"),
)
async def list_(call: Call) -> list[Scheduled]:
    """List the transactions that wait for their time, the next one first."""
    return msgspec.convert(call.session.schedule.list(), list[Scheduled])


@method(
    "schedule.cancel",
    role="operator",
    mutates=True,
    shell=Shell("cancel <id>", example="tonnetz cancel 1"),
    http=Route("DELETE /api/schedule/{id}"),
)
async def cancel(call: Call, id: ScheduleId) -> None:
    """Take away a transaction before its time.

    Whoever asked for it is refused with a conflict. One that is about to take effect can't be cancelled any more.
    """
    call.session.schedule.cancel(id, call.caller)
