"""`events.*`: being told what happens, on a connection that lasts."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonnetz.daemon.event_names import EventName
from tonnetz.daemon.problems import Refusal

from ..method_table import Call, Connection, method

Names = Annotated[list[EventName], Meta(description="the events wanted; all of them when null")]


Since = Annotated[
    int, Meta(ge=0, le=2**53, description="`seq` of the last event you have: what you missed comes first")
]
RunId = Annotated[str, Meta(max_length=64, description="the `run` of the daemon that `since` is of")]


class Subscribed(msgspec.Struct, frozen=True):
    """Where the events begin: the next new one has a greater `seq`, and the graph is at `revision`. `run` names this
    run of the daemon: another one counts anew. `replayed` events come first; with `snapshot_needed` some are lost, and
    the graph has to be fetched anew."""

    seq: int
    revision: int
    run: str
    replayed: int
    snapshot_needed: bool


@method("events.subscribe", role="viewer")
async def subscribe(
    call: Call, names: Names | None = None, since: Since | None = None, run: RunId | None = None
) -> Subscribed:
    """Send events on this connection from now on, as JSON-RPC notifications.

    Subscribing again replaces the choice of names. Events wait in a bounded queue: a client that reads too slowly loses
    the oldest ones, and the next event it gets says in `dropped` how many; it should then fetch the graph anew.

    Whoever comes back after a broken connection says `since` which event, and of which `run`, and is sent what happened
    meanwhile, if it is still known.
    """
    events = call.session.events
    known = since if run in (None, events.run) else None  # another run's numbers say nothing here
    replayed = connection_of(call).subscribe(names, known)
    return Subscribed(
        seq=events.seq,
        revision=call.session.revision,
        run=events.run,
        replayed=replayed or 0,
        snapshot_needed=since is not None and replayed is None,
    )


@method("events.unsubscribe", role="viewer")
async def unsubscribe(call: Call) -> None:
    """Send no more events on this connection."""
    connection_of(call).unsubscribe()


def connection_of(call: Call) -> Connection:
    if call.connection is None:
        message = "This door has no lasting connection to send events on; use the Unix socket, or a WebSocket."
        raise Refusal("unavailable", message)
    return call.connection
