"""Tells everybody on the bus what happens: events as signals, and nodes that come, change and go as objects.

An object's properties are compared with what was last told of it, whatever event names the node, so no event has to be
known here. Signals are made in turns with everything else the loop does, and wait when the bus takes no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .connection import Connection, Message
from .interfaces import NODE, OBJECT_MANAGER, PROPERTIES, ROOT
from .objects import NODES, Objects
from .signals import signal_of_event

if TYPE_CHECKING:
    from tonnetz.daemon.events import Event, Subscription
    from tonnetz.daemon.session import Session

EVENTS_WAITING = 200_000  # one import of 10,000 nodes and 100,000 connections, with room to spare; a few MB
TURN = 16  # signals made before others have their turn: a millisecond


class Announcer:
    """From its making on, what happens waits for `run` to tell it."""

    def __init__(self, session: Session, objects: Objects, connection: Connection) -> None:
        self._objects = objects
        self._connection = connection
        self._session = session
        self._subscription: Subscription = session.events.subscribe(None, EVENTS_WAITING)
        # What was told of each node last; None before the first change, when clients have asked for themselves.
        self._told: dict[str, dict[str, Any] | None] = dict.fromkeys(session.graph.nodes)
        self._turn = 0

    async def run(self) -> None:
        """Tells until it is cancelled, or closed."""
        touched: dict[str, None] = {}
        async for event in self._subscription:
            self._connection.send(signal_of_event(event))
            touched |= dict.fromkeys(nodes_of(event))
            if "dropped" in event.params:
                touched |= dict.fromkeys([*self._told, *self._session.graph.nodes])
            await self._yield()
            if not len(self._subscription) or len(touched) >= TURN:
                for node_id in touched:
                    self._tell(node_id)
                    await self._yield()
                touched = {}

    def close(self) -> None:
        self._subscription.close()

    async def _yield(self) -> None:
        await self._connection.drained()
        self._turn = (self._turn + 1) % TURN
        if self._turn == 0:
            await asyncio.sleep(0)

    def _tell(self, node_id: str) -> None:
        path = f"{NODES}/{node_id}"
        properties = self._objects.properties(node_id)
        if properties is None:
            if node_id in self._told:
                del self._told[node_id]
                self._send(ROOT, OBJECT_MANAGER, "InterfacesRemoved", "oas", path, [NODE])
            return
        if node_id not in self._told:
            self._send(ROOT, OBJECT_MANAGER, "InterfacesAdded", "oa{sa{sv}}", path, {NODE: properties})
        else:
            before = self._told[node_id] or {}
            changed = {name: value for name, value in properties.items() if before.get(name) != value}
            if changed:
                self._send(path, PROPERTIES, "PropertiesChanged", "sa{sv}as", NODE, changed, [])
        self._told[node_id] = properties

    def _send(self, path: str, interface: str, name: str, kinds: str, *body: Any) -> None:
        self._connection.send(Message.new_signal(path, interface, name, kinds, list(body)))


def nodes_of(event: Event) -> Iterable[str]:
    """The nodes that an event is about."""
    node: Mapping[str, Any] = event.params.get("node", {})
    return [name for name in (event.params.get("node_id"), node.get("id")) if name]
