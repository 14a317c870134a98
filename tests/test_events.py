"""daemon/events.py: everybody hears what they asked for, and who is slow loses the oldest and is told so."""

from __future__ import annotations

import asyncio

import pytest

from tonnetz.daemon import events
from tonnetz.daemon.events import Event, Hub, Subscription


async def heard(subscription: Subscription) -> list[Event]:
    """What waits for the listener right now."""
    return [await anext(subscription) for _ in range(len(subscription))]


async def test_events_come_in_order_to_those_who_asked() -> None:
    hub = Hub()
    everything, moves = hub.subscribe(), hub.subscribe(["node_moved"])
    hub.publish("node_added", {"node": {"id": "a"}})
    hub.publish("node_moved", {"node_id": "a", "x": 1.0, "y": 2.0})
    assert [(event.seq, event.name) for event in await heard(everything)] == [(1, "node_added"), (2, "node_moved")]
    assert [(event.seq, event.params["x"]) for event in await heard(moves)] == [(2, 1.0)]


async def test_a_subscription_begins_with_the_next_event() -> None:
    hub = Hub()
    hub.publish("log", {"message": "before"})
    subscription = hub.subscribe()
    assert hub.seq == 1 and len(subscription) == 0


async def test_a_full_queue_loses_its_oldest_and_says_how_many() -> None:
    hub = Hub()
    slow, quick = hub.subscribe(limit=3), hub.subscribe()
    for number in range(10):
        hub.publish("log", {"number": number})
    events = await heard(slow)
    assert [event.params["number"] for event in events] == [7, 8, 9]
    assert [event.params.get("dropped") for event in events] == [7, None, None]
    assert ["dropped" in event.params for event in await heard(quick)] == [False] * 10
    hub.publish("log", {"number": 10})
    assert [dict(event.params) for event in await heard(slow)] == [{"number": 10}]


async def test_waiting_ends_with_an_event_or_with_the_subscription() -> None:
    hub = Hub()
    subscription = hub.subscribe()
    waiting = asyncio.create_task(anext(subscription))
    await asyncio.sleep(0)
    hub.publish("log", {})
    assert (await waiting).seq == 1
    waiting = asyncio.create_task(anext(subscription))
    await asyncio.sleep(0)
    subscription.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_a_closed_subscription_hears_nothing_more() -> None:
    hub = Hub()
    subscription = hub.subscribe()
    hub.publish("log", {})
    subscription.close()
    hub.publish("log", {})
    assert hub.listeners == 0 and [event async for event in subscription] == []


async def test_a_listener_may_leave_while_events_are_told() -> None:
    hub = Hub()
    subscriptions = [hub.subscribe() for _ in range(3)]

    async def hear_one_and_leave(subscription: Subscription) -> int:
        async for event in subscription:
            subscription.close()
            return event.seq
        return 0

    tasks = [asyncio.create_task(hear_one_and_leave(subscription)) for subscription in subscriptions]
    await asyncio.sleep(0)
    hub.publish("log", {})
    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert hub.listeners == 0


def test_a_name_that_is_no_event_is_the_publishers_mistake() -> None:
    with pytest.raises(ValueError, match="node_aded"):
        Hub().publish("node_aded", {})  # type: ignore[arg-type]


async def test_what_is_promised_is_what_comes() -> None:
    """More happened than a queue takes, but little of it is wanted: that little comes, and is counted as it comes."""
    hub = Hub()
    for number in range(30):
        hub.publish("log" if number % 10 else "node_moved", {"number": number})
    few = hub.subscribe(["node_moved"], limit=10, since=1)
    assert few.replayed == 2 and [event.params["number"] for event in await heard(few)] == [10, 20]
    many = hub.subscribe(["log"], limit=10, since=1)
    assert many.replayed is None and await heard(many) == []


async def test_who_was_away_is_sent_what_happened_meanwhile() -> None:
    hub = Hub()
    for number in range(5):
        hub.publish("log" if number % 2 else "node_moved", {"number": number})
    subscription = hub.subscribe(["log"], since=1)
    hub.publish("log", {"number": 5})
    assert subscription.replayed == 2 and hub.subscribe().replayed is None
    assert [event.params["number"] for event in await heard(subscription)] == [1, 3, 5]
    assert [len(hub.missed(since) or ()) for since in (0, 5, 6)] == [6, 1, 0]
    assert len(hub.missed(0, ["log"]) or ()) == 3


def test_what_is_forgotten_or_too_much_or_yet_to_come_is_not_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "PAST", 20)
    hub = Hub()
    assert hub.missed(0) == [] and hub.missed(1) is None
    for _ in range(30):
        hub.publish("log", {})
    assert hub.missed(9) is None, "number 10 is forgotten"
    assert hub.missed(10, limit=10) is None, "twenty are more than a queue takes"
    assert len(hub.missed(20, limit=10) or ()) == 10 and hub.missed(30) == [] and hub.missed(31) is None
