"""Timed transactions are exact: while an audio thread runs, others edit and the loop is held up; and they are, to the bit, what the
same edits would have been at those moments."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soundfile

from tonnetz.daemon.graph.edits import AddNode, AnyEdit, ConfigureNode, Connect, MoveNode, RemoveNode
from tonnetz.daemon.receipt import Receipt

from .storm import Storm
from .studio import CALLER, Studio, document, node, recorder, studio

BLOCK = 64


def constant(folder: Path) -> dict[str, object]:
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "constant.wav", np.full(48000, 0.5), 48000, subtype="FLOAT")
    nodes = [node("source", "file_player", path="constant.wav", loop=True, channels=1), node("level", "gain")]
    return document([*nodes, recorder("tape")], "source.out > level.in", "level.out > tape.in")


def gain(db: float) -> ConfigureNode:
    return ConfigureNode(id="level", config={"gain_db": db})


async def crowd(made: Studio, seed: int, done: asyncio.Event) -> int:
    """Adds and removes nodes that hear the source, as fast as it goes, and is never kept waiting by what waits."""
    number = 0
    while not done.is_set():
        name = f"crowd_{seed}_{number}"
        await made.apply([AddNode(id=name, type="equalizer"), Connect(source="source.out", target=f"{name}.in")], 5.0)
        await asyncio.sleep(0.02)
        await made.apply([RemoveNode(id=name)], 5.0)
        number += 1
    return number


def check(made: Studio, receipts: Sequence[Receipt], asked: Sequence[int]) -> int:
    """Where the recording changes, and that all that was late was told; how many were on time."""
    heard = made.recordings["tape"][0]
    steps = (np.flatnonzero(np.diff(heard)) + 1).tolist()
    steps = [step for step in steps if step > 9600]  # before that the player begins
    assert steps == sorted({receipt.frame for receipt in receipts})
    exact = 0
    for receipt, frame in zip(receipts, asked, strict=True):
        due = -(-frame // BLOCK) * BLOCK
        assert (receipt.frame == due) == (not receipt.warnings) and receipt.frame >= due
        exact += receipt.frame == due
    return exact


async def test_they_are_exact_in_a_crowd(tmp_path: Path) -> None:
    chance = random.Random(1)
    async with studio(tmp_path, constant(tmp_path), clock="internal", block_frames=BLOCK) as made:
        session = made.session
        frames = sorted(session.engine.frame + chance.randrange(24000, 120000) for _ in range(40))
        levels = [-0.1 * (1 + number) for number in range(40)]
        done = asyncio.Event()
        busy = [asyncio.create_task(crowd(made, seed, done)) for seed in range(2)]
        asked = [
            session.apply([gain(db)], caller=CALLER, fade_ms=0, at=at) for db, at in zip(levels, frames, strict=True)
        ]
        receipts = await asyncio.gather(*asked)
        done.set()
        rounds = sum(await asyncio.gather(*busy))
    assert check(made, receipts, frames) >= 20, "a busy machine may make some late, but not many"
    assert rounds > 20


async def test_they_are_exact_though_the_loop_is_held_up(tmp_path: Path) -> None:
    async with studio(tmp_path, constant(tmp_path), clock="internal", block_frames=BLOCK) as made:
        session = made.session
        frames = [session.engine.frame + 24000 + 2400 * number for number in range(6)]
        asked = [
            asyncio.create_task(session.apply([gain(-1.0 - number)], caller=CALLER, fade_ms=0, at=at))
            for number, at in enumerate(frames)
        ]
        await asyncio.sleep(0.05)
        time.sleep(0.9)  # noqa: ASYNC251 - as a fault of ours would: nothing of this thread runs while they are due
        receipts = await asyncio.gather(*asked)
    assert check(made, receipts, frames) == 6


async def test_a_time_of_day_is_met(tmp_path: Path) -> None:
    """To a block, by the engine's own account of when which frame sounds."""
    async with studio(tmp_path, constant(tmp_path), clock="internal", block_frames=BLOCK) as made:
        session = made.session
        await asyncio.sleep(0.1)
        moment = time.time_ns() + 400_000_000
        at = datetime.fromtimestamp(moment / 1e9, UTC).isoformat()
        before = session.engine.status()
        receipt = await session.apply([gain(-6.0)], caller=CALLER, fade_ms=0, at=at)
    told = before.frame + (moment - before.frame_time_ns) * 48000 / 1e9
    assert abs(receipt.frame - told) < 4800  # the machine may wake the thread late, and tells of the block it woke for
    assert check(made, [receipt], [receipt.frame]) == 1


async def test_they_are_what_the_edits_would_have_been_at_that_moment(tmp_path: Path) -> None:
    """A storm of edits made as it plays; then the same ones, asked for beforehand, while others edit what is not heard."""
    sources = [
        node("one", "tone", wave="white", channels=1),
        node("two", "tone", wave="pink", seed=2),
        recorder("wild", 2),
    ]
    begin = document(sources, "one.out > wild.in")
    played: list[tuple[int, list[AnyEdit], float | None]] = []
    async with studio(tmp_path / "played", begin) as made:
        storm = Storm(made, 5, {"one", "two"})
        while len(played) < 120:
            edits, fade_ms = storm.transaction(), storm.chance.choice(storm.fades_ms)
            played.append((made.session.engine.frame, edits, fade_ms))
            await made.apply(edits, fade_ms)
            await made.session.runtime.step(storm.chance.choice([0, 1, 2, 5]) or 1)
        blocks = made.session.engine.frame // 256
    async with studio(tmp_path / "asked", begin) as again:
        session, chance = again.session, random.Random(1)
        asked = []
        for frame, edits, fade_ms in played:
            waiting = session.apply(edits, caller=CALLER, fade_ms=fade_ms, at=frame)
            asked.append(asyncio.create_task(waiting))
            await asyncio.sleep(0)
        left = blocks
        while left:
            some = min(left, chance.randint(1, 30))
            await session.runtime.step(some)
            left -= some
            await again.apply([MoveNode(id="one", x=chance.random(), y=0)], 20.0)
        receipts = await asyncio.gather(*asked)
    assert [receipt.frame for receipt in receipts] == [frame for frame, _, _ in played]
    assert np.ptp(made.recordings["wild"]) > 0.1
    np.testing.assert_array_equal(made.recordings["wild"], again.recordings["wild"])
