"""daemon/undoing.py and the stacks: everybody takes back their own, and nobody what others have changed since."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tonnetz.daemon import history, undoing
from tonnetz.daemon.caller import Caller
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.session import Session
from tonnetz.daemon.storage import restoring
from tonnetz.rpc.method_table import Call, load_methods

from .storage.desk import ANN, BOB, apply, level, levels, session, tone

DOCUMENT = {
    "name": "studio",
    "nodes": [
        {"id": "hum", "type": "tone"},
        {"id": "eq", "type": "equalizer", "config": {"bands": [{}, {"frequency": 2000}]}},
        {"id": "mix", "type": "mixer"},
    ],
    "connections": [{"source": "hum.out", "target": "eq.in"}, {"source": "eq.out", "target": "mix.in_1"}],
}
METHODS = load_methods()


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Session]:
    async with session(tmp_path, DOCUMENT) as opened:
        yield opened


async def undo(made: Session, by: Caller, revision: int | None = None) -> Receipt:
    return await undoing.undo(made, by, revision, None)


async def redo(made: Session, by: Caller) -> Receipt:
    return await undoing.redo(made, by, None)


async def call(made: Session, method: str, by: Caller = ANN, **params: Any) -> Any:
    return await METHODS[method].run(Call(made, by), params)


def band(place: int, **config: Any) -> dict[str, Any]:
    return {"configure_node": {"id": "eq", "config": {"bands": {str(place): config}}}}


# ---- One after the other ---------------------------------------------------------------------------------------------


async def test_undo_and_redo_walk_up_and_down(made: Session) -> None:
    graphs = [made.graph]
    await apply(made, level("hum", -10))
    graphs.append(made.graph)
    await apply(made, {"remove_node": {"id": "eq", "strategy": "bridge"}})
    graphs.append(made.graph)
    await apply(made, {"rename_graph": {"name": "evening"}}, {"replace_node": {"id": "mix", "type": "gain"}})
    graphs.append(made.graph)
    for _ in range(2):
        for graph in reversed(graphs[:-1]):
            receipt = await undo(made, ANN)
            assert made.graph == graph and receipt.warnings == []
        with pytest.raises(Refusal, match="nothing of ann's to undo") as refused:
            await undo(made, ANN)
        assert refused.value.name == "not_found"
        for graph in graphs[1:]:
            receipt = await redo(made, ANN)
            assert made.graph == graph and receipt.warnings == []
        with pytest.raises(Refusal, match="nothing that ann undid"):
            await redo(made, ANN)


async def test_a_change_of_ones_own_ends_what_can_be_redone_and_others_changes_do_not(made: Session) -> None:
    await apply(made, level("hum", -10))
    await undo(made, ANN)
    await apply(made, {"rename_node": {"id": "mix", "label": "Sum"}}, by=BOB)
    await redo(made, ANN)
    assert levels(made, ["hum"]) == {"hum": -10}
    await undo(made, ANN)
    await apply(made, level("hum", -11))
    with pytest.raises(Refusal, match="nothing that ann undid"):
        await redo(made, ANN)


async def test_what_can_be_undone_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "KEPT_STEPS", 6)
    async with session(tmp_path, DOCUMENT) as made:
        begin = made.revision
        for number in range(10):
            await apply(made, level("hum", -10 - number), by=BOB if number == 0 else ANN)
        assert made.history.stacks.undoable[ANN.name] == list(range(begin + 5, begin + 11))
        for _ in range(3):  # each is a step too
            await undo(made, ANN)
        assert made.history.stacks.undoable[ANN.name] == []
        with pytest.raises(Refusal, match="too long ago"):
            await undo(made, ANN, begin + 4)


async def test_each_undoes_their_own(made: Session) -> None:
    await apply(made, level("hum", -10), by=ANN)
    await apply(made, {"rename_node": {"id": "hum", "label": "Bob's"}}, by=BOB)
    await apply(made, tone("second"), by=ANN)
    receipt = await undo(made, BOB)
    assert receipt.warnings == [] and made.graph.nodes["hum"].label == ""
    assert levels(made, ["hum"]) == {"hum": -10} and "second" in made.graph.nodes
    await undo(made, ANN)
    await undo(made, ANN)
    assert "second" not in made.graph.nodes and levels(made, ["hum"]) == {"hum": -20}
    with pytest.raises(Refusal, match="nothing of bob's"):
        await undo(made, BOB)


async def test_the_stacks_outlive_the_daemon(tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT) as first:
        await apply(first, level("hum", -10))
        await apply(first, level("hum", -11))
        await undo(first, ANN)
    async with session(tmp_path) as second:
        await redo(second, ANN)
        assert levels(second, ["hum"]) == {"hum": -11}
        await undo(second, ANN)
        await undo(second, ANN)
        assert levels(second, ["hum"]) == {"hum": -20}


async def test_what_is_no_longer_at_hand_comes_from_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "RECENT", 2)
    async with session(tmp_path, DOCUMENT) as first:
        await apply(first, level("hum", -10))
        for number in range(5):
            await apply(first, {"rename_node": {"id": "hum", "label": str(number)}}, by=BOB)
    async with session(tmp_path) as second:
        assert second.history.entry(2) is None
        await undo(second, ANN)
        assert levels(second, ["hum"]) == {"hum": -20} and second.graph.nodes["hum"].label == "4"
        await undoing.revert(second, ANN, 3, None, "")
        assert levels(second, ["hum"]) == {"hum": -10} and second.graph.nodes["hum"].label == "0"


# ---- What others have changed since ----------------------------------------------------------------------------------


async def test_a_field_that_somebody_changed_since_stays_and_is_named(made: Session) -> None:
    await apply(made, {"configure_node": {"id": "hum", "config": {"level_db": -10, "frequency": 100}}}, by=ANN)
    await apply(made, level("hum", -3), by=BOB)
    receipt = await undo(made, ANN)
    assert receipt.warnings == ["hum.level_db stays as it is: it was changed since, by bob (revision 3)."]
    assert levels(made, ["hum"]) == {"hum": -3} and made.graph.nodes["hum"].config["frequency"] == 1000


async def test_two_bands_of_one_equalizer_are_two_fields(made: Session) -> None:
    await apply(made, band(0, gain_db=3, q=2), by=ANN)
    await apply(made, band(0, gain_db=5), by=BOB)
    await apply(made, band(1, gain_db=7), by=BOB)
    receipt = await undo(made, ANN)
    assert [warning.split()[0] for warning in receipt.warnings] == ["eq.bands.0.gain_db"]
    bands = made.graph.nodes["eq"].config["bands"]
    assert (bands[0]["gain_db"], bands[1]["gain_db"]) == (5, 7) and bands[0]["q"] != 2


async def test_a_node_that_others_use_stays(made: Session) -> None:
    await apply(made, tone("second"), by=ANN)
    await apply(made, {"connect": {"source": "second.out", "target": "mix.in_2"}}, by=BOB)
    receipt = await undo(made, ANN)
    assert "second" in made.graph.nodes and "second.out:mix.in_2" in made.graph.connections
    assert receipt.warnings == ["second stays as it is: it was changed since, by bob (revision 3)."]


async def test_a_node_that_was_only_moved_does_not_stay(made: Session) -> None:
    await apply(made, tone("second"), by=ANN)
    await apply(made, {"move_node": {"id": "second", "x": 1, "y": 2}}, by=BOB)
    assert (await undo(made, ANN)).warnings == [] and "second" not in made.graph.nodes


async def test_a_connection_stays_away_where_one_end_is_gone(made: Session) -> None:
    await apply(made, {"disconnect": {"id": "hum.out:eq.in"}}, by=ANN)
    await apply(made, {"remove_node": {"id": "hum"}}, by=BOB)
    receipt = await undo(made, ANN)
    assert receipt.warnings == ["hum.out:eq.in stays away: one of its ends is gone."]


async def test_what_the_rules_do_not_allow_any_more_is_left_out(made: Session) -> None:
    """Ann took a wire away; Bob went the other way round meanwhile. With both there would be a loop."""
    await apply(made, {"disconnect": {"id": "eq.out:mix.in_1"}}, {"rename_graph": {"name": "x"}}, by=ANN)
    await apply(
        made, {"disconnect": {"id": "hum.out:eq.in"}}, {"connect": {"source": "mix.out", "target": "eq.in"}}, by=BOB
    )
    receipt = await undo(made, ANN)
    assert len(receipt.warnings) == 1 and "closes a loop" in receipt.warnings[0]
    assert made.graph.name == "studio" and "eq.out:mix.in_1" not in made.graph.connections


async def test_an_undo_of_which_nothing_is_left_makes_way_for_the_next(made: Session) -> None:
    await apply(made, level("hum", -10), by=ANN)
    await apply(made, {"rename_graph": {"name": "x"}}, by=ANN)
    await apply(made, {"rename_graph": {"name": "y"}}, by=BOB)
    assert len((await undo(made, ANN)).warnings) == 1
    await undo(made, ANN)
    assert levels(made, ["hum"]) == {"hum": -20} and made.graph.name == "y"


async def test_anybody_may_undo_a_revision_that_is_named(made: Session) -> None:
    revision = (await apply(made, level("hum", -10), by=ANN)).revision
    await apply(made, tone("second"), by=ANN)
    await undo(made, BOB, revision)
    assert levels(made, ["hum"]) == {"hum": -20}
    for again in (revision, 4711):
        with pytest.raises(Refusal, match="can't be undone") as refused:
            await undo(made, BOB, again)
        assert refused.value.name == "not_found"
    await redo(made, BOB)
    assert levels(made, ["hum"]) == {"hum": -10}


# ---- The whole graph -------------------------------------------------------------------------------------------------


async def test_revert_and_diff(made: Session) -> None:
    was = made.graph
    revision = made.revision
    await apply(made, level("hum", -10), tone("second"), {"remove_node": {"id": "mix"}})
    await apply(made, {"replace_node": {"id": "eq", "type": "gain"}}, by=BOB)
    found = await call(made, "graph.diff", base=revision)
    places = {change.place: change.kind for change in found.changes}
    assert places == {
        "hum.level_db": "changed",
        "second": "node_added",
        "mix": "node_removed",
        "eq": "node_replaced",
        "eq.out:mix.in_1": "disconnected",
    }
    back = await call(made, "graph.diff", base=made.revision, target=str(revision))
    assert {change.place for change in back.changes} == set(places)
    receipt = await undoing.revert(made, BOB, revision, None, "")
    assert made.graph == was and receipt.revision == revision + 3
    await undo(made, BOB)
    await apply(made, *back.edits)
    assert made.graph == was, "the edits of a difference lead there"
    for unknown in (-1, made.revision + 1):
        with pytest.raises(Refusal):
            await undoing.revert(made, BOB, unknown, None, "")


async def test_diff_with_a_document(made: Session) -> None:
    found = await call(made, "graph.diff", base={"name": "studio", "nodes": [{"id": "hum", "type": "tone"}]})
    assert [change.kind for change in found.changes] == ["node_added", "node_added", "connected", "connected"]


async def test_snapshots(made: Session, tmp_path: Path) -> None:
    taken = await call(made, "snapshots.save", name="first light")
    assert (taken.revision, taken.nodes, taken.author) == (1, 3, "ann")
    was = made.graph
    with pytest.raises(Refusal, match="already") as refused:
        await call(made, "snapshots.save", name="first light")
    assert refused.value.name == "conflict"
    kept = made.stage.part("hum")
    await apply(made, {"remove_node": {"id": "eq"}}, tone("second"))
    await call(made, "snapshots.save", name="second")
    assert [one.name for one in await call(made, "snapshots.list")] == ["second", "first light"]
    differing = await call(made, "graph.diff", base="first light", target="second")
    assert {change.place for change in differing.changes} >= {"eq", "second"}
    receipt = await call(made, "snapshots.load", name="first light", by=BOB)
    assert made.graph == was and receipt.revision == 3 and made.stage.part("hum") is kept
    await undo(made, BOB)
    assert "second" in made.graph.nodes
    await call(made, "snapshots.delete", name="second")
    for method in ("snapshots.load", "snapshots.delete"):
        with pytest.raises(Refusal, match="no snapshot 'secnd'"):
            await call(made, method, name="secnd")


async def test_the_list(made: Session) -> None:
    await apply(made, level("hum", -10), label="Softer")
    await apply(made, tone("second"), by=BOB)
    await undo(made, ANN)
    listed = await call(made, "history.list")
    assert [(entry.revision, entry.author, entry.kind, entry.undone) for entry in listed] == [
        (4, "ann", "undo", False),
        (3, "bob", "edit", False),
        (2, "ann", "edit", True),
        (1, "configuration", "edit", False),
    ]
    assert listed[2].label == "Softer" and listed[2].changed == ["hum.level_db"] and listed[0].of == 2
    assert listed[0].frame == 0 and listed[0].edits == []
    only = await call(made, "history.list", author="bob", details=True)
    assert [entry.revision for entry in only] == [3] and only[0].edits[0]["op"] == "add_node"
    assert [entry.revision for entry in await call(made, "history.list", before=3, limit=1)] == [2]


async def test_without_storage_there_is_a_history_and_no_snapshots() -> None:
    made = Session(clock="step")
    await apply(made, tone("hum"))
    await apply(made, level("hum", -10))
    await undo(made, ANN)
    assert [entry.revision for entry in await call(made, "history.list")] == [3, 2, 1]
    await undoing.revert(made, ANN, 0, None, "")
    assert made.graph.nodes == {}
    with pytest.raises(Refusal, match="storage: false"):
        await call(made, "snapshots.list")
    await made.close()
