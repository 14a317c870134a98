"""A session that was stormed is played again from its journal: every recording is the same, bit for bit."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import Settings, StorageSettings
from tonnetz.daemon.startup import begin
from tonnetz.daemon.undoing import redo, undo
from tonnetz.rpc.doors.command_line.program import run

from .storm import FADES_MS, Storm

BLOCK = 64
DOCUMENT = {
    "nodes": [
        {"id": "noise", "type": "tone", "config": {"wave": "pink", "seed": 7, "level_db": -12}},
        {"id": "kept", "type": "file_writer", "config": {"path": "kept.wav", "subtype": "float"}},
        {"id": "wild", "type": "mixer"},
        {"id": "writer", "type": "file_writer", "config": {"path": "wild.wav", "subtype": "float"}},
    ],
    "connections": [
        {"source": "noise.out", "target": "kept.in"},
        {"source": "noise.out", "target": "wild.in_1"},
        {"source": "wild.out", "target": "writer.in"},
    ],
}
PEOPLE = [Caller(name, "operator", "test") for name in ("ann", "bob")]


async def stormed(folder: Path, seed: int, transactions: int) -> None:
    """A run of a daemon's, undos and all, recorded into its folder."""
    media = MediaRoots(play_roots=(folder,), record_root=folder)
    made = Session(clock="step", block_frames=BLOCK, media=media)
    settings = Settings(storage=StorageSettings(directory=str(folder / "state")), graph=DOCUMENT)
    chance = random.Random(seed)
    try:
        await begin(made, settings)
        await made.runtime.start()
        untouched = {"noise", "kept", "writer"}
        storm = Storm(SimpleNamespace(session=made), seed, untouched)  # type: ignore[arg-type]
        for _ in range(transactions):
            await made.runtime.step(chance.choice([1, 1, 2, 5, 40]))
            for _ in range(chance.choice([1, 1, 1, 3])):
                person = chance.choice(PEOPLE)
                try:
                    match chance.randrange(8):
                        case 0:
                            await undo(made, person, None, chance.choice(FADES_MS))
                        case 1:
                            await redo(made, person, None)
                        case _:
                            await made.apply(storm.transaction(), caller=person, fade_ms=chance.choice(FADES_MS))
                except Refusal as refusal:
                    if refusal.name not in ("not_found", "invalid_graph"):
                        raise
        await made.runtime.step(10)
    finally:
        await made.close()


@pytest.mark.parametrize("seed", range(4))
async def test_the_journal_gives_the_same_samples(seed: int, tmp_path: Path) -> None:
    live, again = tmp_path / "live", tmp_path / "again"
    again.mkdir()
    await stormed(live, seed, 60)
    frames = len(soundfile.read(live / "kept.wav")[0])
    await asyncio_free(again, "--journal", str(live / "state" / "tonnetz.db"), "--seconds", str(frames / 48000))
    for name in ("kept.wav", "wild.wav"):
        one, other = (soundfile.read(folder / name, dtype="float32", always_2d=True)[0] for folder in (live, again))
        np.testing.assert_array_equal(other, one)
        assert np.abs(one).max() > 0.05 and len(one) == frames


async def asyncio_free(folder: Path, *words: str) -> None:
    """`tonnetz render` in a thread, as it runs a loop of its own."""

    def render() -> int:
        before = os.getcwd()
        os.chdir(folder)
        try:
            return run(["render", *words, "--json"])
        finally:
            os.chdir(before)

    assert await asyncio.to_thread(render) == 0


async def test_a_changed_journal_gives_other_samples(tmp_path: Path) -> None:
    """So that the test above would find a difference: a block later, each transaction sounds otherwise."""
    live, again = tmp_path / "live", tmp_path / "again"
    again.mkdir()
    await stormed(live, 1, 60)
    with sqlite3.connect(live / "state" / "tonnetz.db") as connection:
        connection.execute("UPDATE transactions SET frame = frame + ? WHERE revision > 1", (BLOCK,))
    connection.close()
    await asyncio_free(again, "--journal", str(live / "state"))
    one, other = (soundfile.read(folder / "wild.wav", dtype="float32", always_2d=True)[0] for folder in (live, again))
    both = min(len(one), len(other))
    assert (one[:both] != other[:both]).any()


async def test_what_cant_be_replayed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    await stormed(tmp_path, 1, 2)
    await stormed(tmp_path, 2, 2)
    journal = str(tmp_path / "state" / "tonnetz.db")

    def said(*words: str) -> tuple[int, str]:
        status = run(["render", *words])
        return status, capsys.readouterr().err

    for words, expected, text in (
        (["--journal", journal, "--run", "3"], 1, "tells of no run 3; those kept: 1 to 2"),
        (["--journal", journal, "graph.yaml"], 2, "does not exist"),
        ([], 2, "Name a graph, or a journal"),
        (["--journal", str(tmp_path)], 1, "can't be read"),
    ):
        status, errors = await asyncio.to_thread(said, *words)
        assert status == expected and text in errors, errors
