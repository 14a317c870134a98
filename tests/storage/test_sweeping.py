"""Secrets that nothing refers to any more are forgotten, after the start, and only if everything kept can be asked."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import msgspec
import pytest

from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.daemon.storage import database, snapshots, templates
from tonnetz.daemon.storage.secret_file import FILE

from .desk import ANN, WITH_CASTER, apply, session, tone

PATIENCE_S = 10.0


def cast(key: str) -> dict[str, object]:
    return {"configure_node": {"id": "cast", "config": {"key": key}}}


DOCUMENT = {"nodes": [{"id": "cast", "type": "caster", "config": {"key": "first"}}]}


def secrets(folder: Path) -> set[str]:
    return set(msgspec.json.decode((folder / FILE).read_bytes()).values())


async def comes_to_be(folder: Path, wanted: set[str]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while secrets(folder) != wanted:  # noqa: ASYNC110 - no bell rings for a file
            await asyncio.sleep(0.01)


async def note_of(made: Session) -> str:
    async with asyncio.timeout(PATIENCE_S):
        while not made.keeping.status.notes:  # noqa: ASYNC110 - nor for a note
            await asyncio.sleep(0.01)
    return made.keeping.status.notes[0]


def spoil(folder: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(folder / database.FILE) as connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


async def keep_snapshot(made: Session, name: str) -> None:
    assert made.keeping.store is not None
    graph, revision = made.graph, made.revision
    await made.keeping.store.ask(
        lambda connection, forms: snapshots.save(connection, forms, name, graph, revision, ANN.name, False)
    )


async def keep_template(made: Session, name: str) -> None:
    assert made.keeping.store is not None
    part = made.graph
    await made.keeping.store.ask(
        lambda connection, forms: templates.save(connection, forms, name, "", part, ANN.name, False)
    )


async def long_ago(made: Session) -> None:
    """As when all that led here has been pruned away."""
    assert made.keeping.store is not None
    for table in ("transactions", "graphs"):
        await made.keeping.store.ask(lambda connection, _, table=table: connection.execute(f"DELETE FROM {table}"))  # type: ignore[misc]


async def test_what_nothing_refers_to_any_more_is_forgotten(tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT, WITH_CASTER) as made:
        await keep_snapshot(made, "evening")
        await apply(made, cast("second"))
        await keep_template(made, "caster")
        await apply(made, cast("third"))
        await apply(made, cast("fourth"))
        await long_ago(made)
        await apply(made, tone("hum"))  # after which the whole graph is written, with the fourth
    assert secrets(tmp_path) == {"first", "second", "third", "fourth"}
    async with session(tmp_path, None, WITH_CASTER):
        await comes_to_be(tmp_path, {"first", "second", "fourth"})


async def test_a_secret_that_is_used_again_meanwhile_is_not(tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT, WITH_CASTER) as made:
        await apply(made, cast("second"))
        await apply(made, cast(""))
        await long_ago(made)
        await apply(made, tone("hum"))
    async with session(tmp_path, None, WITH_CASTER) as again:
        await apply(again, cast("second"))
        await comes_to_be(tmp_path, {"second"})
    async with session(tmp_path, None, WITH_CASTER) as again:
        assert again.graph.nodes["cast"].config["key"] == "second"


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("UPDATE snapshots SET graph = ?", "the snapshot 'evening'"),
        ("UPDATE templates SET part = ?", "the template 'caster'"),
        ("UPDATE graphs SET graph = ? WHERE revision = 0", "the whole graph of revision 0"),
        ("UPDATE transactions SET entry = ? WHERE revision = 1", "the transaction of revision 1"),
    ],
)
async def test_damage_that_nobody_meets_keeps_no_daemon_from_starting(
    statement: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tonnetz.daemon.storage.restoring.RECENT", 1)  # so that older entries are not looked at
    async with session(tmp_path, DOCUMENT, WITH_CASTER) as made:
        await keep_snapshot(made, "evening")
        await keep_template(made, "caster")
        await apply(made, cast("second"))
        await apply(made, cast("third"))
        graph = made.graph
    spoil(tmp_path, statement, b"no graph, and no entry")
    async with session(tmp_path, None, WITH_CASTER) as again:
        assert again.graph == graph, "it plays what it played"
        note = await note_of(again)
        assert named in note and "can't be read" in note
        assert (await apply(again, tone("hum"))).revision == again.revision
    assert secrets(tmp_path) == {"first", "second", "third"}, "what can't be read may refer to any of them"


async def test_what_is_damaged_is_refused_and_can_be_deleted(tmp_path: Path) -> None:
    async with session(tmp_path, DOCUMENT, WITH_CASTER) as made:
        store = made.keeping.store
        assert store is not None
        await keep_snapshot(made, "evening")
        await store.ask(lambda connection, _: connection.execute("UPDATE snapshots SET graph = x'00'"))
        with pytest.raises(Refusal, match=r"'evening' can't be read.*delete it") as refused:
            await store.ask(lambda connection, forms: snapshots.load(connection, forms, "evening"))
        assert refused.value.name == "unavailable"
        await store.ask(lambda connection, _: snapshots.delete(connection, "evening"))
        assert await store.ask(lambda connection, _: snapshots.listed(connection)) == []
