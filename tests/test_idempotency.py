"""A transaction asked for several times with one key is done once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tonnetz.daemon import idempotency
from tonnetz.daemon.caller import Caller
from tonnetz.daemon.graph.edits import AddNode, RemoveNode
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.session import Session

ANNA, BERT = Caller("uid:1", "operator", "socket"), Caller("uid:2", "operator", "socket")
BLOCK = 256


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    made = Session(block_frames=BLOCK, clock="step")
    await made.runtime.start()
    yield made
    await made.close()


async def add(session: Session, key: str, caller: Caller = ANNA, **more: Any) -> Receipt:
    return await session.apply([AddNode(type="gain")], caller=caller, idempotency_key=key, **more)


async def test_the_same_key_gives_the_same_receipt(session: Session) -> None:
    first = await add(session, "a")
    await session.runtime.step(5)
    assert await add(session, "a") == first
    assert list(session.graph.nodes) == ["gain_1"] and session.revision == 1


async def test_also_while_the_first_is_under_way(session: Session) -> None:
    asked = [asyncio.create_task(add(session, "a", at=10 * BLOCK)) for _ in range(3)]
    await asyncio.sleep(0.01)
    asked[0].cancel()  # whoever asked first hangs up
    await session.runtime.step(20)
    receipts = await asyncio.gather(*asked[1:])
    assert receipts[0] == receipts[1] == await add(session, "a", at=10 * BLOCK)
    assert receipts[0].frame == 10 * BLOCK and session.revision == 1


async def test_another_key_or_caller_is_another_transaction(session: Session) -> None:
    receipts = [
        await add(session, "a"),
        await add(session, "b"),
        await add(session, "a", BERT),
        await add(session, "A"),
    ]
    assert [receipt.revision for receipt in receipts] == [1, 2, 3, 4]


@pytest.mark.parametrize("more", [{"fade_ms": 5.0}, {"label": "x"}, {"at": 7}, {"base_revision": 0}])
async def test_the_same_key_for_something_else_is_a_conflict(session: Session, more: dict[str, Any]) -> None:
    await add(session, "a")
    for other in (
        add(session, "a", **more),
        session.apply([AddNode(type="mixer")], caller=ANNA, idempotency_key="a"),
    ):
        with pytest.raises(Refusal, match="'a' was used for another transaction") as caught:
            await other
        assert caught.value.name == "conflict" and caught.value.problems[0].where == "idempotency_key"
    assert session.revision == 1


async def test_a_refusal_does_not_stick(session: Session) -> None:
    removal = [RemoveNode(id="later")]
    with pytest.raises(Refusal, match="no node 'later'"):
        await session.apply(removal, caller=ANNA, idempotency_key="a")
    await session.apply([AddNode(id="later", type="gain")], caller=ANNA)
    receipt = await session.apply(removal, caller=ANNA, idempotency_key="a")
    assert await session.apply(removal, caller=ANNA, idempotency_key="a") == receipt
    assert session.revision == 2


async def test_a_dry_run_uses_no_key(session: Session) -> None:
    await add(session, "a", dry_run=True)
    assert (await session.apply([AddNode(type="mixer")], caller=ANNA, idempotency_key="a")).revision == 1


async def test_answers_are_kept_for_a_while(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(idempotency.time, "monotonic", lambda: now)
    await add(session, "a")
    now += idempotency.KEPT_S - 1
    assert (await add(session, "a")).revision == 1
    now += 2
    assert (await add(session, "a")).revision == 2


async def test_so_many_answers_are_kept(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "KEPT", 10)
    for number in range(10):
        await add(session, str(number))
    assert (await add(session, "0")).revision == 1
    await add(session, "10")
    assert (await add(session, "1")).revision == 2
    assert (await add(session, "0")).revision > 10


async def test_what_is_under_way_is_never_forgotten(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "KEPT", 2)
    waiting = asyncio.create_task(add(session, "first", at=10 * BLOCK))
    await asyncio.sleep(0.01)
    for number in range(10):
        await add(session, str(number))
    again = asyncio.create_task(add(session, "first", at=10 * BLOCK))
    await asyncio.sleep(0.01)
    await session.runtime.step(20)
    assert await waiting == await again
