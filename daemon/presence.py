"""Who is there, and what they are about: cursor, selection, the parameter in hand. Told to everybody, stored nowhere.

A cursor moves all the time, so of each person at most one event goes out in `PACE_S`, and it tells the newest. Whoever
hangs up is gone.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from typing import Any

import msgspec

from .caller import Caller
from .events import Hub
from .graph.edits import AnyEdit, ConfigureNode

PACE_S = 0.05  # twenty a second look like a moving hand


class Held(msgspec.Struct, frozen=True):
    """A parameter in hand; without `param` the node as a whole."""

    node_id: str
    param: str | None = None

    def __str__(self) -> str:
        return f"{self.node_id}.{self.param}" if self.param else self.node_id


class Cursor(msgspec.Struct, frozen=True):
    """Where somebody points, in the units of the nodes' positions."""

    x: float
    y: float


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody with an editor open. `client` tells their windows apart, `author` is as in events and the history."""

    client: int
    author: str
    origin: str
    nick: str = ""
    cursor: Cursor | None = None
    selection: tuple[str, ...] = ()
    editing: Held | None = None

    @property
    def called(self) -> str:
        return self.nick or self.author


class Presence:
    """Everybody who is there, by their connection."""

    def __init__(self, events: Hub) -> None:
        self._events = events
        self._people: dict[object, Person] = {}
        self._clients = itertools.count(1)
        self._pauses: dict[object, asyncio.TimerHandle] = {}  # of those who were told of a moment ago
        self._untold: set[object] = set()  # what changed in that time

    def put(
        self,
        connection: object,
        caller: Caller,
        nick: str,
        cursor: Cursor | None,
        selection: Iterable[str],
        editing: Held | None,
    ) -> Person:
        """What a connection's person is about from now on."""
        known = self._people.get(connection)
        person = self._people[connection] = Person(
            client=known.client if known else next(self._clients),
            author=caller.name,
            origin=caller.origin,
            nick=nick,
            cursor=cursor,
            selection=tuple(selection),
            editing=editing,
        )
        if person != known:
            self._untold.add(connection)
            if connection not in self._pauses:
                self._tell(connection)
        return person

    def leave(self, connection: object) -> None:
        """The connection is gone, and with it whoever was there."""
        person = self._people.pop(connection, None)
        self._untold.discard(connection)
        if pause := self._pauses.pop(connection, None):
            pause.cancel()
        if person is not None:
            self._publish(person, present=False)

    def people(self) -> list[Person]:
        """In the order they came."""
        return list(self._people.values())

    def hints(self, connection: object, edits: Iterable[AnyEdit]) -> list[str]:
        """Who else has in hand what these edits change, in words."""
        others = [p for key, p in self._people.items() if key is not connection and p.editing is not None]
        if not others:
            return []
        touched: dict[str, set[str] | None] = {}  # node -> its parameters; None: all of it
        for edit in edits:
            node_id = getattr(edit, "id", None)
            if isinstance(edit, ConfigureNode):
                known = touched.setdefault(edit.id, set())
                if known is not None:
                    known.update(edit.config)
            elif isinstance(node_id, str):
                touched[node_id] = None
        return [f"{p.called} has {p.editing} in hand." for p in others if p.editing and _meets(p.editing, touched)]

    def _tell(self, connection: object) -> None:
        """Now, if there is something new; and then nothing for a while."""
        if connection not in self._untold:
            self._pauses.pop(connection, None)
            return
        self._untold.discard(connection)
        self._publish(self._people[connection], present=True)
        self._pauses[connection] = asyncio.get_running_loop().call_later(PACE_S, self._tell, connection)

    def _publish(self, person: Person, present: bool) -> None:
        told: dict[str, Any] = msgspec.to_builtins(person)
        self._events.publish("presence_changed", {**told, "present": present})


def _meets(held: Held, touched: dict[str, set[str] | None]) -> bool:
    if held.node_id not in touched:
        return False
    parameters = touched[held.node_id]
    return held.param is None or parameters is None or held.param in parameters
