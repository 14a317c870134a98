"""`events.*`: being told what happens, on a connection that lasts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonnetz.daemon.event_names import EventName
from tonnetz.daemon.problems import Refusal

from ..method_table import Call, Connection, method

Names = Annotated[list[EventName], Meta(description="the events wanted; all of them when null")]


class Subscribed(msgspec.Struct, frozen=True):
    """Where the events begin: the next one has a greater `seq`, and the graph is at `revision`."""

    seq: int
    revision: int


@method("events.subscribe", role="viewer")
async def subscribe(call: Call, names: Names | None = None) -> Subscribed:
    """Send events on this connection from now on, as JSON-RPC notifications.

    Subscribing again replaces the choice of names. Events wait in a bounded queue: a client that reads too slowly loses
    the oldest ones, and the next event it gets says in `dropped` how many; it should then fetch the graph anew.
    """
    connection_of(call).subscribe(names)
    return Subscribed(call.session.events.seq, call.session.revision)


@method("events.unsubscribe", role="viewer")
async def unsubscribe(call: Call) -> None:
    """Send no more events on this connection."""
    connection_of(call).unsubscribe()


def connection_of(call: Call) -> Connection:
    if call.connection is None:
        message = "This door has no lasting connection to send events on; use the Unix socket."
        raise Refusal("unavailable", message)
    return call.connection
