"""What was answered is there again after the daemon has ended, however it ended; and nothing that was refused."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tonnetz.daemon.graph.mending import mended
from tonnetz.daemon.graph.model import Graph
from tonnetz.daemon.graph.rules import Limits
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.node_catalogue import load_catalogue
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.daemon.storage import database, journal, schema, writer
from tonnetz.daemon.storage.database import FILE
from tonnetz.daemon.storage.store import StorageUnusable

from .desk import ANN, apply, level, levels, session, tone

DOCUMENT = {"name": "studio", "nodes": [{"id": "hum", "type": "tone"}]}


def files(folder: Path, pattern: str = "*") -> list[Path]:
    return sorted(folder.glob(pattern))


def rows(folder: Path, query: str) -> list[Any]:
    """What the database says, asked beside the daemon."""
    with sqlite3.connect(folder / FILE) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


# ---- Ending and beginning --------------------------------------------------------------------------------------------


async def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT) as first:
        await apply(first, tone("bass", frequency=55), {"rename_node": {"id": "hum", "label": "Mains"}})
        await apply(first, {"move_node": {"id": "bass", "x": 3, "y": 4}}, {"rename_graph": {"name": "evening"}})
        await apply(first, {"remove_node": {"id": "hum"}}, {"bypass_node": {"id": "bass", "bypass": True}})
        graph, revision = first.graph, first.revision
    async with session(tmp_path, {"nodes": [{"id": "other", "type": "tone"}]}) as second:
        assert (second.graph, second.revision) == (graph, revision)
        assert (await apply(second, tone("new"))).revision == revision + 1
        assert [entry.revision for entry in second.history.since(0)] == list(range(1, revision + 2))
    async with session(tmp_path) as third:
        assert set(third.graph.nodes) == {"bass", "new"} and third.graph.name == "evening"


async def test_nodes_come_back_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    """By which documents list them, and the first sound card is chosen for the clock."""
    names = [f"tone_{number * 7 % 23}" for number in range(23)]
    async with session(tmp_path) as made:
        await apply(made, *map(tone, names))
        (tmp_path / FILE).with_name("copy").mkdir()
        for file in files(tmp_path, f"{FILE}*"):  # as a crash leaves it: at an end the whole graph is written
            (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
    async with session(tmp_path / "copy") as again:
        assert list(again.graph.nodes) == names


async def test_without_storage_nothing_is_left(tmp_path: Path) -> None:
    made = Session(clock="step")
    await apply(made, tone("hum"))
    assert made.keeping.status.state == "off"
    await made.close()
    assert files(tmp_path) == []


async def test_the_journal_tells_all_that_a_replay_needs(tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT) as made:
        await made.runtime.step(10)
        receipt = await apply(made, level("hum", -6), tone("bass"), fade_ms=250, label="Softer", by=ANN)
    entry = msgspec.json.decode(rows(tmp_path, "SELECT entry FROM transactions WHERE revision = 2")[0][0])
    assert entry["edits"][0] == {"op": "configure_node", "id": "hum", "config": {"level_db": -6}}
    assert (entry["author"], entry["origin"], entry["label"]) == ("ann", "test", "Softer")
    assert entry["options"] == {"fade_ms": 250} and entry["time_ns"] > 1.7e18
    assert [edit["op"] for edit in entry["inverse"]] == ["remove_node", "configure_node"]
    assert rows(tmp_path, "SELECT frame, run FROM transactions ORDER BY revision") == [(0, 1), (receipt.frame, 1)]
    assert rows(tmp_path, "SELECT revision, sample_rate, block_frames FROM runs") == [(0, 48000, 256)]


async def test_many_at_once_share_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    insert = journal.insert_entries

    def counting(connection: sqlite3.Connection, run: int, found: Any) -> None:
        batches.append(len(found))
        insert(connection, run, found)

    monkeypatch.setattr(journal, "insert_entries", counting)
    async with session(tmp_path, DOCUMENT) as made:
        await asyncio.gather(*(apply(made, level("hum", -number / 10)) for number in range(500)))
    assert sum(batches) == 501 and len(batches) < 250 and max(batches) > 5


async def test_old_transactions_make_room_for_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GRAPH_EVERY", 10)
    async with session(tmp_path, DOCUMENT, history_transactions=25) as made:
        for number in range(100):
            await apply(made, level("hum", -number / 10))
        graph = made.graph
    (count, oldest), *_ = rows(tmp_path, "SELECT COUNT(*), MIN(revision) FROM transactions")
    assert 25 <= count <= 45 and oldest > 50
    assert rows(tmp_path, "SELECT MIN(revision) FROM graphs")[0][0] == oldest - 1, "the graph that they begin at"
    async with session(tmp_path) as again:
        assert again.graph == graph


async def test_large_transactions_make_room_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "GRAPH_EVERY_BYTES", 200_000)
    async with session(tmp_path, history_mb=1) as made:
        for number in range(40):
            many = [tone(f"tone_{k}", frequency=100 + number) for k in range(100)]
            await apply(made, *many)
            await apply(made, *({"remove_node": {"id": f"tone_{k}"}} for k in range(100)))
        assert made.revision == 80
    assert rows(tmp_path, "SELECT SUM(size) FROM transactions")[0][0] < 1_500_000


# ---- What keeps it from beginning ------------------------------------------------------------------------------------


async def test_one_daemon_at_a_time(tmp_path: Path) -> None:
    async with session(tmp_path):
        with pytest.raises(StorageUnusable, match=r"another daemon stores its graph.*storage\.directory"):
            async with session(tmp_path):
                pass
    async with session(tmp_path):
        pass


async def test_a_folder_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnusable, match=r"nothing can be stored in .*file/state: .*storage: false"):
        async with session(tmp_path / "file" / "state"):
            pass


async def test_a_later_versions_database_is_left_alone(tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT):
        pass
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    connection.close()
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(StorageUnusable, match=f"of version {schema.VERSION + 1}, and this program knows"):
        async with session(tmp_path):
            pass
    assert (tmp_path / FILE).read_bytes() == before


# ---- Damage ----------------------------------------------------------------------------------------------------------


def overwrite_header(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(b"no database at all")


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def garble_pages(file: Path) -> None:
    """All but the first, which names the tables, and the last, in which the graph of the end is."""
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\xa5" * 4096 * 3)


def flip_a_bit_in_an_entry(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        (text,) = connection.execute("SELECT entry FROM transactions ORDER BY revision DESC LIMIT 1").fetchone()
        flipped = text.replace(b"-20.0", b"-30.0")
        assert flipped != text
        connection.execute("UPDATE transactions SET entry = ? WHERE entry = ?", (flipped, text))
    connection.close()


def empty_the_newest_graph(file: Path) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE graphs SET graph = x'00' WHERE revision = (SELECT MAX(revision) FROM graphs)")
    connection.close()


@pytest.mark.parametrize(
    "damage", [overwrite_header, cut_short, garble_pages, flip_a_bit_in_an_entry, empty_the_newest_graph]
)
async def test_a_damaged_database_is_set_aside_and_the_last_good_graph_begins(
    tmp_path: Path, damage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "GRAPH_EVERY", 40)
    async with session(tmp_path, DOCUMENT) as made:
        for number in range(1, 201):
            await apply(made, level("hum", -number / 10))
        monkeypatch.setattr(made.keeping.store._writer, "_keep_graph", lambda _due: None)  # type: ignore[union-attr]
    whole = (tmp_path / FILE).read_bytes()
    damage(tmp_path / FILE)
    damaged = (tmp_path / FILE).read_bytes()
    assert damaged != whole

    async with session(tmp_path, {"nodes": [{"id": "spare", "type": "tone"}]}) as again:
        status = again.keeping.status
        assert status.state == "ok" and "was damaged" in status.notes[0], status
        (aside,) = files(tmp_path, "damaged-*")
        assert str(aside) in status.notes[0]
        assert (aside / FILE).read_bytes() == damaged, "kept as it was found"
        if "hum" in again.graph.nodes:
            assert -20 <= levels(again)["hum"] <= -16, "at most what came after the last whole graph is lost"
            assert again.revision >= 160
        else:
            assert damage in (overwrite_header, cut_short, garble_pages)
            assert set(again.graph.nodes) == {"spare"}, "nothing could be read: the configuration's graph"
        await apply(again, tone("new"))
        graph = again.graph
    async with session(tmp_path) as third:
        assert third.graph == graph and third.keeping.status.notes == ()


async def test_a_fault_of_ours_is_told_to_those_who_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    async with session(tmp_path, DOCUMENT) as made:
        store = made.keeping.store
        assert store is not None and store._writer is not None
        faults = iter([ZeroDivisionError("nobody foresaw this")])
        real = store._writer._write

        def once(records: Any) -> None:
            for fault in faults:
                raise fault
            real(records)

        monkeypatch.setattr(store._writer, "_write", once)
        told = made.events.subscribe(["log"])
        with pytest.raises(Refusal, match="nobody foresaw this"):
            await apply(made, level("hum", -4))
        assert levels(made) == {"hum": -20.0}
        while "works again" not in (await anext(told)).params["message"]:
            pass
        await apply(made, level("hum", -5))


async def test_damage_found_while_it_runs_costs_nothing(tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT) as made:
        await apply(made, level("hum", -3))
        store = made.keeping.store
        assert store is not None and store._writer is not None
        real = store._writer._write
        failures = iter([True])

        def once(records: Any) -> None:
            if next(failures, False):
                error = sqlite3.DatabaseError("database disk image is malformed")
                error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
                raise error
            real(records)

        store._writer._write = once  # type: ignore[method-assign]
        told = made.events.subscribe(["log"])
        await apply(made, level("hum", -4))
        assert made.keeping.status.state == "ok" and "set aside" in made.keeping.status.notes[0]
        assert "set aside" in (await anext(told)).params["message"]
    async with session(tmp_path) as again:
        assert levels(again) == {"hum": -4.0}


def test_what_the_types_of_today_do_not_know_is_left_out() -> None:
    catalogue, _ = load_catalogue()
    old = msgspec.json.decode(
        b'{"name": "old", "nodes": {"a": {"id": "a", "type": "tone", "config": {"level_db": 99, "frequency": 50}},'
        b'"b": {"id": "b", "type": "theremin", "config": {}}, "c": {"id": "c", "type": "null_output", "config": {}}},'
        b'"connections": {"b.out:c.in": {"source": "b.out", "target": "c.in"},'
        b'"a.out:c.in": {"source": "a.out", "target": "c.in"}}}',
        type=Graph,
    )
    graph, notes = mended(old, catalogue, Limits())
    assert set(graph.nodes) == {"a", "c"} and set(graph.connections) == {"a.out:c.in"}
    assert graph.nodes["a"].config["frequency"] == 50 and graph.nodes["a"].config["level_db"] <= 0
    assert len(notes) == 2 and "level_db" in notes[0] + notes[1] and "theremin" in notes[0] + notes[1]


# ---- Room ------------------------------------------------------------------------------------------------------------


async def test_where_room_runs_out_changes_are_refused_before_they_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    room = SimpleNamespace(f_bavail=1 << 20, f_frsize=4096)
    monkeypatch.setattr(writer.os, "statvfs", lambda _folder: room)
    async with session(tmp_path, DOCUMENT) as made:
        room.f_bavail = 100
        told = made.events.subscribe(["log"])
        await apply(made, level("hum", -1))  # after this one it looks
        assert "Nothing can be stored for now" in (await anext(told)).params["message"]
        with pytest.raises(Refusal, match=r"only 0 MiB are left.*what plays goes on") as refused:
            await apply(made, level("hum", -2))
        assert refused.value.name == "unavailable"
        await apply(made, level("hum", -2), dry_run=True)
        assert levels(made) == {"hum": -1.0} and made.revision == 2
        room.f_bavail = 1 << 20
        assert "works again" in (await anext(told)).params["message"]
        await apply(made, level("hum", -3))


# ---- Secrets ---------------------------------------------------------------------------------------------------------

SECRET_TYPE = NodeSpec(
    type="caster",
    category="sink",
    help="Has secrets of all kinds.",
    core_type="null_output",
    parameters=(
        ParameterSpec(name="password", kind="text", default="", help="A secret.", secret=True, core=False),
        ParameterSpec(
            name="mirrors",
            kind="list",
            help="More.",
            core=False,
            count_maximum=4,
            fields=(
                ParameterSpec(name="host", kind="text", default="", help="Where."),
                ParameterSpec(name="key", kind="text", default="", help="A secret.", secret=True),
            ),
        ),
    ),
    ports=(PortSpec(name="in", direction="input", help="What goes out."),),
)


async def test_secrets_lie_apart_and_come_back(tmp_path: Path) -> None:
    catalogue = {**load_catalogue()[0], "caster": SECRET_TYPE}
    config = {"password": "hunter2", "mirrors": [{"host": "a", "key": "opensesame"}, {"host": "b", "key": "hunter2"}]}
    async with session(tmp_path, catalogue=catalogue) as made:
        await apply(made, {"add_node": {"id": "cast", "type": "caster", "config": config}})
        await apply(made, {"configure_node": {"id": "cast", "config": {"password": "swordfish"}}})
        await apply(made, {"configure_node": {"id": "cast", "config": {"mirrors": {"1": {"key": "tiger"}}}}})
        graph = made.graph
        shown = msgspec.json.encode(made.history.describe_since(0, made.catalogue))
        assert not any(secret in shown for secret in (b"hunter2", b"opensesame", b"swordfish", b"tiger"))
    secret_file = tmp_path / "secrets.json"
    assert stat.S_IMODE(secret_file.stat().st_mode) == 0o600
    assert set(msgspec.json.decode(secret_file.read_bytes()).values()) == {
        "hunter2",
        "opensesame",
        "swordfish",
        "tiger",
    }
    for file in files(tmp_path):
        if file != secret_file:
            text = file.read_bytes()
            assert not any(secret in text for secret in (b"hunter2", b"opensesame", b"swordfish", b"tiger")), file
    async with session(tmp_path, catalogue=catalogue) as again:
        assert again.graph == graph


# ---- Older versions --------------------------------------------------------------------------------------------------


async def test_a_database_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    script = (Path(__file__).parent / "version_1.sql").read_text()
    connection = sqlite3.connect(tmp_path / FILE)
    connection.executescript(script)
    connection.close()
    async with session(tmp_path) as made:
        assert made.keeping.status.notes == ()
        assert made.graph.name == "night" and set(made.graph.nodes) == {"hum", "mix", "bass"}
        assert levels(made, ["hum"]) == {"hum": -6.0} and made.graph.nodes["hum"].label == "Mains"
        assert [entry.label for entry in made.history.since(0)] == ["start", "Softer", "", ""]
        assert made.history.stacks.undoable == {"configuration": [1], "ann": [2, 4], "bob": [3]}
        assert rows(tmp_path, "SELECT name FROM snapshots") == [("evening",)]
        assert rows(tmp_path, "SELECT * FROM templates") == []
    assert rows(tmp_path, "PRAGMA user_version") == [(schema.VERSION,)]


async def test_a_step_that_fails_leaves_the_version_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with session(tmp_path, DOCUMENT):
        pass
    broken = (*schema.MIGRATIONS, "CREATE TABLE half (id INTEGER); CREATE TABLE half (id INTEGER)")
    monkeypatch.setattr(database, "MIGRATIONS", broken)
    monkeypatch.setattr(database, "VERSION", len(broken))
    with pytest.raises(StorageUnusable, match="half already exists"):
        async with session(tmp_path):
            pass
    assert rows(tmp_path, "PRAGMA user_version") == [(schema.VERSION,)]
    assert rows(tmp_path, "SELECT name FROM sqlite_master WHERE name = 'half'") == []


async def test_on_a_disk_that_takes_nothing_it_begins_and_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What every single write of a start does that fails, test_failing_disk.py tells."""
    monkeypatch.setattr(writer, "RETRY_S", 0.01)
    async with session(tmp_path, DOCUMENT) as made:
        graph = made.graph
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL
    takes: list[bool] = []
    real = writer.transaction

    def transaction(connection: sqlite3.Connection) -> Any:
        if not takes:
            raise full
        return real(connection)

    monkeypatch.setattr(writer, "transaction", transaction)
    async with session(tmp_path) as made:
        assert made.graph == graph and made.keeping.status.state == "refusing"
        with pytest.raises(Refusal, match="disk is full"):
            await apply(made, level("hum", -3))
        told = made.events.subscribe(["log"])
        takes.append(True)
        while "works again" not in (await anext(told)).params["message"]:
            pass
        await apply(made, level("hum", -3))
        assert rows(tmp_path, "SELECT run FROM transactions WHERE revision = 2") == [(2,)]
