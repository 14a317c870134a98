"""Timed transactions, on the clock that is stepped by hand: when they take effect, on what graph, and what becomes of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.engine.core import CoreEngine
from tonnetz.daemon.engine.stage import Stage
from tonnetz.daemon.graph.edits import AddNode, AnyEdit, ConfigureNode, Connect, RemoveNode, RenameNode
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.schedule import FARTHEST_S, MOST_WAITING
from tonnetz.daemon.session import Session

from .recordings import Recorders, joined

CALLER = Caller("test", "admin", "test")
BLOCK = 256
RATE = 48000


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """Stepped by hand. A tone of constant 0.25 goes through a gain, `level`, into a recorder, `tape`."""
    soundfile.write(tmp_path / "constant.wav", np.full(RATE, 0.25), RATE, subtype="FLOAT")
    media = MediaRoots(play_roots=(tmp_path,), record_root=tmp_path / "recordings")
    made = Session(sample_rate=RATE, block_frames=BLOCK, clock="step", media=media)
    edits: list[AnyEdit] = [
        AddNode(id="source", type="file_player", config={"path": "constant.wav", "loop": True, "channels": 1}),
        AddNode(id="level", type="gain"),
        AddNode(id="tape", type="file_writer", config={"path": "tape", "subtype": "float", "channels": 1}),
        Connect(source="source.out", target="level.in"),
        Connect(source="level.out", target="tape.in"),
    ]
    await made.apply(edits, caller=CALLER, fade_ms=0)
    await made.runtime.start()
    yield made
    await made.close()


Asked = asyncio.Task[Receipt]


async def ask(session: Session, *edits: AnyEdit, at: int | str, **more: Any) -> Asked:
    """A transaction on its way; it has been looked at when this returns."""
    asked = asyncio.create_task(session.apply(edits, caller=CALLER, fade_ms=0, at=at, **more))
    await asyncio.sleep(0)
    return asked


async def now(session: Session, *edits: AnyEdit) -> Receipt:
    return await session.apply(edits, caller=CALLER, fade_ms=0)


def gain(db: float) -> ConfigureNode:
    return ConfigureNode(id="level", config={"gain_db": db})


async def recorded(session: Session) -> Any:
    recorders = Recorders(session)
    recorders.note()
    await session.runtime.stop()
    return joined("tape", recorders.read()["tape"]).samples[0]


def moments(session: Session) -> Sequence[Any]:
    return [(one["at"], one["frame"]) for one in session.schedule.list()]


async def test_it_takes_effect_at_the_first_boundary_at_or_after_its_frame(session: Session) -> None:
    exact = await ask(session, gain(-6.0), at=10 * BLOCK)
    between = await ask(session, gain(-12.0), at=20 * BLOCK + 1)
    await session.runtime.step(50)
    assert [(await asked).frame for asked in (exact, between)] == [10 * BLOCK, 21 * BLOCK]
    assert (await exact).warnings == []
    heard = await recorded(session)
    steps = np.flatnonzero(np.diff(heard)) + 1
    assert steps.tolist() == [10 * BLOCK, 21 * BLOCK]


async def test_until_then_others_see_and_edit_the_graph_without_it(session: Session) -> None:
    asked = await ask(session, gain(-6.0), at=10 * BLOCK)
    assert session.revision == 1 and session.graph.nodes["level"].config["gain_db"] == 0
    await session.runtime.step(5)
    receipt = await now(session, AddNode(id="more", type="gain"), Connect(source="source.out", target="more.in"))
    assert (receipt.revision, receipt.frame) == (2, 5 * BLOCK)
    await session.runtime.step(10)
    assert ((await asked).revision, (await asked).frame) == (3, 10 * BLOCK)
    assert session.graph.nodes["level"].config["gain_db"] == -6 and "more" in session.graph.nodes
    assert [entry.revision for entry in session.history.since(0)] == [1, 2, 3]


async def hand_over(session: Session, blocks: int = 1000) -> None:
    """As if so many blocks were about to be stepped: then what is due within waits in the engine."""
    session.schedule.look(blocks * BLOCK)


async def test_an_edit_goes_ahead_of_what_waits_in_the_engine(session: Session) -> None:
    """Several wait, each relying on the one before: they are taken back, and worked out again on what the edit leaves."""
    asked = [
        await ask(session, AddNode(id="new", type="gain", config={"gain_db": -6.0}), at=10 * BLOCK),
        await ask(session, Connect(source="source.out", target="new.in"), at=11 * BLOCK),
        await ask(session, Connect(source="new.out", target="tape.in"), at=12 * BLOCK),
    ]
    await hand_over(session)
    assert session.revision == 1 and "new" not in session.graph.nodes
    for number in range(3):
        receipt = await now(session, AddNode(id=f"between_{number}", type="mixer"))
        assert (receipt.revision, receipt.frame) == (2 + number, 0)
    await session.runtime.step(20)
    receipts = [await one for one in asked]
    assert [(one.revision, one.frame) for one in receipts] == [(5, 10 * BLOCK), (6, 11 * BLOCK), (7, 12 * BLOCK)]
    heard = await recorded(session)
    assert (np.flatnonzero(np.diff(heard)) + 1).tolist() == [12 * BLOCK]
    assert heard[-1] == pytest.approx(0.25 * (1 + 10 ** (-6 / 20)))


async def test_they_come_in_the_order_of_their_frames_and_of_asking(session: Session) -> None:
    later = await ask(session, gain(-1.0), at=30 * BLOCK)
    await hand_over(session)
    first = await ask(session, gain(-2.0), at=10 * BLOCK)
    second = await ask(session, gain(-3.0), at=10 * BLOCK)
    assert moments(session) == [(10 * BLOCK, 10 * BLOCK)] * 2 + [(30 * BLOCK, 30 * BLOCK)]
    await session.runtime.step(40)
    receipts = [await one for one in (first, second, later)]
    assert [(one.revision, one.frame // BLOCK) for one in receipts] == [(2, 10), (3, 10), (4, 30)]
    assert session.graph.nodes["level"].config["gain_db"] == -1


async def test_one_that_comes_too_late_is_applied_at_once_and_says_so(session: Session) -> None:
    await session.runtime.step(10)
    receipt = await (await ask(session, gain(-6.0), at=4 * BLOCK - 1))
    assert receipt.frame == 10 * BLOCK
    assert receipt.warnings == ["It was 32.0 ms (1536 frames) late: 1023 was past when it could be applied."]
    assert (await (await ask(session, gain(-6.0), at=10 * BLOCK))).warnings == []


async def test_what_does_not_hold_is_refused_at_once(session: Session) -> None:
    with pytest.raises(Refusal, match="no node 'nobody'"):
        await session.apply([RemoveNode(id="nobody")], caller=CALLER, at=10 * BLOCK)
    with pytest.raises(Refusal, match="names no file"):
        await session.apply([AddNode(type="file_player", config={"path": " "})], caller=CALLER, at=10 * BLOCK)
    assert session.schedule.list() == []


async def test_what_no_longer_holds_is_a_conflict_and_changes_nothing(session: Session) -> None:
    asked = await ask(session, gain(-6.0), at=10 * BLOCK)
    await now(session, RemoveNode(id="level", strategy="bridge"))
    graph = session.graph
    await session.runtime.step(20)
    with pytest.raises(Refusal, match="went from revision 1 to 2 meanwhile. .*no node 'level'") as caught:
        await asked
    assert caught.value.name == "conflict"
    assert [one["revision"] for one in caught.value.data["changes"]] == [2]
    assert (session.graph, session.revision, session.schedule.list()) == (graph, 2, [])


async def test_it_means_what_it_would_mean_by_then(session: Session) -> None:
    """A place in a list is counted in the list as it is by then, as if it were typed then; unless a revision is named."""
    await now(session, AddNode(id="mix", type="mixer"))
    louder = ConfigureNode(id="mix", config={"inputs": {"1": {"gain_db": -6.0}}})
    asked = await ask(session, louder, at=10 * BLOCK)
    named = await ask(session, louder, at=10 * BLOCK, base_revision=session.revision)
    await now(session, ConfigureNode(id="mix", config={"inputs": [{}, {}, {"pan": 1.0}]}))
    await session.runtime.step(20)
    assert (await asked).frame == 10 * BLOCK
    with pytest.raises(Refusal) as caught:
        await named
    assert caught.value.name == "conflict"


async def test_what_holds_only_without_the_one_before_is_not_judged_too_early(session: Session) -> None:
    """With the removal ahead of it the second does not hold. The removal is cancelled; then it does."""
    removal = await ask(session, RemoveNode(id="level", strategy="bridge"), at=10 * BLOCK)
    second = await ask(session, gain(-6.0), at=12 * BLOCK)
    await hand_over(session)
    assert not second.done()
    session.schedule.cancel(1, CALLER)
    await session.runtime.step(20)
    assert (await second).frame == 12 * BLOCK
    with pytest.raises(Refusal, match="test cancelled it"):
        await removal


async def test_the_second_of_two_that_can_not_both_be_is_refused(session: Session) -> None:
    removal = await ask(session, RemoveNode(id="level", strategy="bridge"), at=10 * BLOCK)
    second = await ask(session, gain(-6.0), at=12 * BLOCK)
    await session.runtime.step(20)
    assert (await removal).frame == 10 * BLOCK
    with pytest.raises(Refusal, match="no node 'level'"):
        await second


async def test_strict_wants_the_graph_to_be_the_same_by_then(session: Session) -> None:
    strict = {"base_revision": 1, "strict": True}
    asked = await ask(session, gain(-6.0), at=10 * BLOCK, **strict)
    other = await ask(session, gain(-7.0), at=5 * BLOCK, **strict)
    await session.runtime.step(20)
    assert (await other).frame == 5 * BLOCK
    with pytest.raises(Refusal, match="went from revision 1 to 2"):
        await asked


async def test_a_dry_run_foresees_the_frame_and_does_not_wait(session: Session) -> None:
    receipt = await session.apply([gain(-6.0)], caller=CALLER, dry_run=True, at=10 * BLOCK + 7)
    assert (receipt.frame, receipt.revision) == (11 * BLOCK, 1)
    assert session.schedule.list() == []
    await session.runtime.step(20)
    assert session.revision == 1


async def test_cancelled_it_changes_nothing(session: Session) -> None:
    asked = await ask(session, gain(-6.0), at=10 * BLOCK, label="softer")
    kept = await ask(session, gain(-3.0), at=11 * BLOCK)
    listed = {"id": 1, "at": 10 * BLOCK, "frame": 10 * BLOCK, "author": "test", "label": "softer", "edits": 1}
    assert session.schedule.list()[0] == listed
    await hand_over(session)
    session.schedule.cancel(1, CALLER)
    await session.runtime.step(20)
    assert ((await kept).revision, (await kept).frame) == (2, 11 * BLOCK)
    with pytest.raises(Refusal) as caught:
        await asked
    assert caught.value.name == "conflict"
    with pytest.raises(Refusal, match="No transaction 1 waits"):
        session.schedule.cancel(1, CALLER)


async def test_whoever_asked_may_hang_up(session: Session) -> None:
    asked = await ask(session, gain(-6.0), at=10 * BLOCK)
    asked.cancel()
    await session.runtime.step(20)
    assert session.graph.nodes["level"].config["gain_db"] == -6


async def test_its_undo_is_in_the_history_once_it_has_come(session: Session) -> None:
    asked = await ask(session, gain(-6.0), at=10 * BLOCK)
    assert len(session.history.since(1)) == 0
    await session.runtime.step(20)
    await asked
    (entry,) = session.history.since(1)
    await now(session, *entry.inverse)
    assert session.graph.nodes["level"].config["gain_db"] == 0


async def test_what_waits_survives_a_pause_and_a_stop(session: Session) -> None:
    """Time stands meanwhile, edits go on, and files are begun anew."""
    asked = await ask(session, gain(-6.0), at=10 * BLOCK)
    await hand_over(session)
    await session.runtime.pause()
    await now(session, AddNode(id="more", type="gain"))
    await session.runtime.stop()
    await now(session, AddNode(id="yet_more", type="gain"))
    assert not asked.done() and moments(session) == [(10 * BLOCK, 10 * BLOCK)]
    await session.runtime.start()
    await session.runtime.step(20)
    assert ((await asked).revision, (await asked).frame) == (4, 10 * BLOCK)


async def test_at_the_frame_that_stands_it_is_applied_at_once(session: Session) -> None:
    await session.runtime.step(3)
    await session.runtime.stop()
    assert (await (await ask(session, gain(-6.0), at=3 * BLOCK))).frame == 3 * BLOCK


async def test_a_time_of_day_comes_though_the_engine_stands_still(session: Session) -> None:
    soon = (datetime.now(UTC) + timedelta(milliseconds=150)).isoformat()
    began = time.monotonic()
    receipt = await session.apply([gain(-6.0)], caller=CALLER, at=soon)
    assert time.monotonic() - began > 0.1
    assert receipt.frame == 0


async def test_the_daemon_refuses_what_waits_when_it_ends(session: Session) -> None:
    asked = await ask(session, gain(-6.0), at=10 * BLOCK)
    await hand_over(session)
    await session.close()
    with pytest.raises(Refusal, match="ended before its time") as caught:
        await asked
    assert caught.value.name == "unavailable" and session.revision == 1
    with pytest.raises(Refusal, match="about to end"):
        await session.apply([gain(-6.0)], caller=CALLER, at=10 * BLOCK)


@pytest.mark.parametrize(
    ("at", "words"),
    [
        (int(FARTHEST_S * RATE) + 1, "at lies 3600 s ahead"),
        (1 << 62, "s ahead; 3600 s are possible"),
        ("9999-05-04T12:00:00Z", "s ahead; 3600 s are possible"),
        ("2026-05-04T12:00:00", "is no time in RFC 3339"),
        ("tomorrow", "'tomorrow' is no time"),
        ("2026-13-04T12:00:00Z", "is no time"),
    ],
)
async def test_what_is_no_time_or_too_far_is_refused(session: Session, at: int | str, words: str) -> None:
    for dry_run in (False, True):
        with pytest.raises(Refusal, match=words) as caught:
            await session.apply([gain(-6.0)], caller=CALLER, at=at, dry_run=dry_run)
        assert caught.value.name == "invalid_params" and caught.value.problems[0].where == "at"


async def test_so_many_may_wait_and_no_more(session: Session) -> None:
    for number in range(MOST_WAITING):
        await ask(session, RenameNode(id="level", label=str(number)), at=10 * BLOCK)
    with pytest.raises(Refusal, match="256 transactions wait") as caught:
        await session.apply([gain(-6.0)], caller=CALLER, at=10 * BLOCK)
    assert caught.value.name == "unavailable"
    await session.runtime.step(20)
    assert session.revision == 1 + MOST_WAITING and session.graph.nodes["level"].label == "255"


async def test_a_player_is_ready_at_the_frame_it_comes(session: Session, tmp_path: Path) -> None:
    """It was opened ahead, and edits in between did not begin it anew: not a frame of silence goes before its sound."""
    soundfile.write(tmp_path / "steps.wav", np.arange(1, RATE) / RATE, RATE, subtype="FLOAT")
    jingle = AddNode(id="jingle", type="file_player", config={"path": "steps.wav", "channels": 1})
    asked = await ask(session, jingle, Connect(source="jingle.out", target="tape.in"), at=10 * BLOCK)
    await hand_over(session)
    (before,) = [part.outside for part in session.schedule.made() if part.outside]
    await now(session, AddNode(id="more", type="gain"))
    (after,) = [part.outside for part in session.schedule.made() if part.outside]
    assert after is before
    await session.runtime.step(20)
    await asked
    assert session.stage.part("jingle").outside is before
    heard = await recorded(session)
    expected = np.float32(0.25) + (np.arange(1, 10 * BLOCK + 1) / RATE).astype(np.float32)
    assert np.array_equal(heard[10 * BLOCK :], expected)


async def test_while_blocks_are_stepped_an_edit_makes_none_late(session: Session) -> None:
    """The step runs in a thread of its own: what waits for a block of it may be past by the time that it was taken back."""
    for turn in range(10):
        begin = session.engine.frame
        asked = [await ask(session, gain(-1.0 - number), at=begin + 100 * number) for number in range(1, 40)]
        step = asyncio.create_task(session.runtime.step(80))
        edits = 0
        while not step.done():
            await now(session, AddNode(id=f"more_{turn}_{edits}", type="gain"))
            edits += 1
        await step
        receipts = [await one for one in asked]
        assert [one.frame for one in receipts] == [begin - (-100 * number // BLOCK) * BLOCK for number in range(1, 40)]
        assert not any(one.warnings for one in receipts)


async def test_of_what_was_made_ahead_nothing_is_left_behind(session: Session, tmp_path: Path) -> None:
    jingle = AddNode(id="jingle", type="file_player", config={"path": "constant.wav", "channels": 1})
    asked = await ask(session, jingle, at=10 * BLOCK)
    await hand_over(session)
    (part,) = session.schedule.made()
    assert part.outside is not None and part.started
    session.schedule.cancel(1, CALLER)
    assert part.outside.join(10.0)
    with pytest.raises(Refusal):
        await asked


async def test_where_it_can_not_be_handed_over_that_is_said(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        from tonnetz._core import lib
        from tonnetz.daemon.engine.core import CoreError

        raise CoreError(lib.TZ_BUSY, "a commit")

    asked = await ask(session, gain(-6.0), at=10 * BLOCK)
    monkeypatch.setattr(CoreEngine, "submit", full)
    session.schedule.look(100 * BLOCK)
    monkeypatch.undo()
    with pytest.raises(Refusal, match="could not take the change") as caught:
        await asked
    assert caught.value.name == "unavailable"
    await session.runtime.step(20)
    assert session.revision == 1


async def test_one_that_is_taken_already_counts_as_done(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """The audio thread was quicker than this one: what comes then is worked out on what it did."""
    asked = await ask(session, gain(-6.0), at=10 * BLOCK)
    await hand_over(session)
    withdraw: Callable[..., bool] = lambda *_: False  # noqa: E731 - as the engine says when it is too late
    monkeypatch.setattr(Stage, "withdraw", withdraw)
    ahead = asyncio.create_task(now(session, gain(-3.0)))
    await asyncio.sleep(0)
    assert session.revision == 3 and session.graph.nodes["level"].config["gain_db"] == -3
    with pytest.raises(Refusal, match="No transaction 1 waits"):
        session.schedule.cancel(1, CALLER)
    await session.runtime.step(20)
    assert [((await one).revision, (await one).frame) for one in (asked, ahead)] == [(2, 10 * BLOCK), (3, 10 * BLOCK)]
