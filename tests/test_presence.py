"""daemon/presence.py: who is there, told at a pace, and gone with the connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tonnetz.daemon import presence
from tonnetz.daemon.caller import Caller
from tonnetz.daemon.events import Event, Hub, Subscription
from tonnetz.daemon.graph.document import edits_from_plain
from tonnetz.daemon.presence import Cursor, Held, Presence

ANN, BOB = (Caller(f"uid:{number}", "operator", "socket") for number in (1, 2))


async def heard(subscription: Subscription) -> list[Event]:
    return [await anext(subscription) for _ in range(len(subscription))]


def put(there: Presence, connection: object, by: Caller = ANN, **about: Any) -> presence.Person:
    given = {"nick": "", "cursor": None, "selection": (), "editing": None} | about
    return there.put(connection, by, **given)


async def test_everybody_is_told_and_listed_and_gone_when_they_hang_up() -> None:
    hub = Hub()
    there, listening = Presence(hub), hub.subscribe()
    put(there, "a", nick="Ann", selection=["eq"], editing=Held("eq", "gain_db"))
    put(there, "b", BOB, cursor=Cursor(1, 2))
    there.leave("a")
    there.leave("nobody")
    told = [event.params for event in await heard(listening)]
    assert [(params["client"], params["nick"], params["present"]) for params in told] == [
        (1, "Ann", True),
        (2, "", True),
        (1, "Ann", False),
    ]
    assert told[0]["editing"] == {"node_id": "eq", "param": "gain_db"} and told[1]["cursor"] == {"x": 1.0, "y": 2.0}
    assert [person.author for person in there.people()] == ["uid:2"]
    there.leave("b")


async def test_a_moving_cursor_is_told_at_a_pace_and_at_last_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "PACE_S", 0.02)
    hub = Hub()
    there, listening = Presence(hub), hub.subscribe()
    for x in range(500):
        put(there, "a", cursor=Cursor(x, 0))
    assert [event.params["cursor"]["x"] for event in await heard(listening)] == [0]
    assert (await asyncio.wait_for(anext(listening), 5)).params["cursor"]["x"] == 499
    put(there, "a", cursor=Cursor(499, 0))  # nothing new
    await asyncio.sleep(0.05)
    assert len(listening) == 0
    put(there, "a", cursor=Cursor(1, 0))
    assert [event.params["cursor"]["x"] for event in await heard(listening)] == [1]
    there.leave("a")


@pytest.mark.parametrize(
    ("edit", "hint"),
    [
        ({"configure_node": {"id": "eq", "config": {"gain_db": 1}}}, True),
        ({"configure_node": {"id": "eq", "config": {"bands": []}}}, False),
        ({"configure_node": {"id": "mix", "config": {"gain_db": 1}}}, False),
        ({"remove_node": {"id": "eq"}}, True),
        ({"replace_node": {"id": "eq", "type": "gain"}}, True),
        ({"connect": {"source": "eq.out", "target": "mix.in_1"}}, False),
    ],
)
async def test_hints_say_who_has_it_in_hand(edit: dict[str, Any], hint: bool) -> None:
    there = Presence(Hub())
    put(there, "a", nick="Ann", editing=Held("eq", "gain_db"))
    put(there, "b", BOB)
    edits = edits_from_plain([edit])
    assert there.hints("b", edits) == (["Ann has eq.gain_db in hand."] if hint else [])
    assert there.hints("a", edits) == [], "one knows that of oneself"
    assert len(there.hints(None, edits)) == hint
    for connection in ("a", "b"):
        there.leave(connection)
