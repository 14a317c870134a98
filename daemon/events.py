"""What happened, told to everybody who asked. Telling never waits: a listener that falls behind loses its oldest events
and is told how many, so that it can fetch the graph anew.

Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from .event_names import EVENT_NAMES, EventName

PAST = 5000  # events remembered for those who lost their connection: some minutes of busy editing, some megabytes
QUEUE_LIMIT = 1000  # events waiting per listener: some seconds of the busiest editing, well below a megabyte


class Event(msgspec.Struct, frozen=True, eq=False):
    """One thing that happened. `seq` counts all events of this daemon; compared and hashed by identity."""

    seq: int
    name: EventName
    params: Mapping[str, Any]


class Subscription:
    """The events of some names for one listener, as an async iterator that ends when it is closed.

    `replayed` of those that wait at first happened before; None: nobody asked for them, or not all are known. After a
    loss the next event's params carry `dropped`, the number of events this listener did not get.
    """

    def __init__(self, hub: Hub, names: frozenset[str], limit: int, past: Collection[Event] | None) -> None:
        self.names = names
        self.limit = limit
        self.replayed = None if past is None else len(past)
        self._hub = hub
        self._waiting: deque[Event] = deque(past or ())
        self._dropped = 0
        self._closed = False
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, event: Event) -> None:
        """Queue the event if it is of the wanted names; a full queue forgets its oldest."""
        if event.name not in self.names:
            return
        if len(self._waiting) >= self.limit:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(event)
        self._wake.set()

    def close(self) -> None:
        """No more events; whoever waits for one is released, and what is still queued is forgotten."""
        self._closed = True
        self._waiting.clear()
        self._hub.forget(self)
        self._wake.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Event:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        event = self._waiting.popleft()
        if self._dropped:
            event = Event(event.seq, event.name, {**event.params, "dropped": self._dropped})
            self._dropped = 0
        return event


class Hub:
    """Where events are published and subscribed to."""

    def __init__(self) -> None:
        self.seq = 0
        self.run = secrets.token_hex(8)  # tells the numbers of this run of the daemon from those of another
        self._past: deque[Event] = deque(maxlen=PAST)
        self._subscriptions: set[Subscription] = set()

    def publish(self, name: EventName, params: Mapping[str, Any]) -> Event:
        """Tell every listener of `name`, at once and without waiting. Params are not copied: do not change them later.

        A name that is not in `EVENT_NAMES` is a mistake of the publisher: ValueError.
        """
        if name not in EVENT_NAMES:
            raise ValueError(f"there is no event {name!r}; add it to daemon/event_names.py")
        self.seq += 1
        event = Event(self.seq, name, params)
        self._past.append(event)
        for subscription in self._subscriptions:
            subscription.offer(event)
        return event

    def subscribe(
        self, names: Collection[str] | None = None, limit: int = QUEUE_LIMIT, since: int | None = None
    ) -> Subscription:
        """Listen to events of these names, or to all; it begins with the next one published, or with those after
        `since` (see `missed`)."""
        past = None if since is None else self.missed(since, names, limit)
        subscription = Subscription(self, frozenset(EVENT_NAMES if names is None else names), limit, past)
        self._subscriptions.add(subscription)
        return subscription

    def missed(self, since: int, names: Collection[str] | None = None, limit: int = QUEUE_LIMIT) -> list[Event] | None:
        """The events of these names after number `since`. None: not all of them are known, or there is no such number,
        or they are more than a listener's queue takes."""
        oldest = self._past[0].seq if self._past else self.seq + 1
        if not oldest - 1 <= since <= self.seq:
            return None
        found = [event for event in self._past if event.seq > since and (names is None or event.name in names)]
        return found if len(found) <= limit else None

    def forget(self, subscription: Subscription) -> None:
        """Called by a subscription that closes."""
        self._subscriptions.discard(subscription)

    @property
    def listeners(self) -> int:
        return len(self._subscriptions)
