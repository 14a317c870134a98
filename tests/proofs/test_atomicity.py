"""A transaction takes effect whole, at the frame its receipt names: two recorders whose sources are exchanged over and over.

Every edit of a transaction alone would be heard at once, as both recorders would hear the same source, both, or none. What
the sources were at every moment is known from recorders of their own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tonnetz.daemon.graph.edits import AnyEdit
from tonnetz.daemon.receipt import Receipt

from ..recordings import Samples
from .studio import Studio, document, exchanged, node, recorder, studio

EXCHANGES = 10_000
TONES = {"a": 997.0, "b": 1201.0, "c": 1511.0}


def tones(*more: dict[str, Any], wires: Sequence[str] = ()) -> dict[str, Any]:
    """Three tones, each recorded; `x` records the first and `y` the second."""
    nodes = [node(name, "tone", frequency=hz, level_db=-6, channels=1) for name, hz in TONES.items()]
    nodes += [recorder(f"only_{name}") for name in TONES] + [recorder("x"), recorder("y")]
    own = [f"{name}.out > only_{name}.in" for name in TONES]
    return document([*nodes, *more], *own, "a.out > x.in", "b.out > y.in", *wires)


def exchange(old: tuple[str, str], new: tuple[str, str]) -> list[AnyEdit]:
    """Gives x and y other sources."""
    edits: list[AnyEdit] = []
    for was, to_be, target in zip(old, new, ("x.in", "y.in"), strict=True):
        if was != to_be:
            edits += exchanged(f"{was}.out", f"{to_be}.out", target)
    return edits


def heard(recordings: dict[str, Samples], name: str, block: int) -> NDArray[np.int64]:
    """Which tone, by its number, a recorder heard in each block; every sample of it must be that tone's."""
    blocks = recordings[name].reshape(-1, block)
    alike = np.array([(blocks == recordings[f"only_{tone}"].reshape(-1, block)).all(axis=1) for tone in TONES])
    assert (alike.sum(axis=0) == 1).all(), f"{name} heard a block that is not wholly one tone"
    return alike.argmax(axis=0)


def promised(receipts: Sequence[Receipt], states: Sequence[tuple[str, str]], blocks: int) -> NDArray[np.int64]:
    """Which tones x and y were to hear in each block, by the receipts: the state after the last transaction so far."""
    numbers = list(TONES)
    found = np.zeros((2, blocks), np.int64)
    found[1] = 1
    for receipt, state in zip(receipts, states, strict=True):
        for place, name in enumerate(state):
            found[place, receipt.block :] = numbers.index(name)
    return found


def check(made: Studio, receipts: Sequence[Receipt], states: Sequence[tuple[str, str]]) -> None:
    block = made.session.engine.block_frames
    right = promised(receipts, states, made.session.engine.frame // block)
    for place, name in enumerate("xy"):
        np.testing.assert_array_equal(heard(made.recordings, name, block), right[place], name)
    assert [receipt.revision for receipt in receipts] == list(range(2, 2 + len(receipts)))
    assert all(receipt.frame == receipt.block * block for receipt in receipts)
    assert all(before.frame <= after.frame for before, after in pairwise(receipts))


async def test_ten_thousand_exchanges_each_take_effect_whole(tmp_path: Path) -> None:
    chance = random.Random(1)
    receipts, states = [], []
    state = ("a", "b")
    async with studio(tmp_path, tones(), block_frames=64) as made:
        engine = made.session.engine
        for _ in range(EXCHANGES):
            await made.session.runtime.step(chance.randint(1, 3))
            frame = engine.frame
            old, state = state, state[::-1]
            receipts.append(await made.apply(exchange(old, state)))
            states.append(state)
            assert receipts[-1].frame == frame
        await made.session.runtime.step(1)
    check(made, receipts, states)
    changes = np.flatnonzero(np.diff(heard(made.recordings, "x", 64))) + 1
    assert [receipt.block for receipt in receipts] == changes.tolist()


def turns(count: int, seed: int) -> list[tuple[str, str]]:
    """States of x and y one after another, each unlike the one before."""
    chance = random.Random(seed)
    states = [("a", "b")]
    while len(states) <= count:
        state = (chance.choice(list(TONES)), chance.choice(list(TONES)))
        if state != states[-1]:
            states.append(state)
    return states


async def test_transactions_between_two_blocks_take_effect_together(tmp_path: Path) -> None:
    states = turns(300, seed=2)
    receipts: list[Receipt] = []
    async with studio(tmp_path, tones(), block_frames=64) as made:
        for some in range(0, 300, 60):
            await made.session.runtime.step(5)
            frame = made.session.engine.frame
            edits = [exchange(old, new) for old, new in pairwise(states[some : some + 61])]
            told = await asyncio.gather(*(made.apply(edit) for edit in edits))
            assert {receipt.frame for receipt in told} == {frame}
            receipts += told
        await made.session.runtime.step(5)
    check(made, receipts, states[1:])


async def test_transactions_in_a_freewheel_name_the_block_they_are_heard_in(tmp_path: Path) -> None:
    """Many at once, while the engine runs as fast as it can: some meet in one block, and there the last one holds."""
    busy = [node(f"eq_{number}", "equalizer", bands=[{"gain_db": 1.0}] * 32) for number in range(24)]
    wires = [f"a.out > {eq['id']}.in" for eq in busy]  # so that a block takes some milliseconds
    states = turns(1500, seed=3)
    edits = [exchange(old, new) for old, new in pairwise(states)]
    async with studio(tmp_path, tones(*busy, wires=wires), clock="freewheel", block_frames=1024) as made:
        receipts = await asyncio.gather(*(made.apply(edit) for edit in edits))
    check(made, receipts, states[1:])
    together = [len(list(group)) for _, group in groupby(receipt.frame for receipt in receipts)]
    assert len(together) > 1, "the engine did not run meanwhile"
    assert max(together) > 1, "no two transactions met in a block"


async def test_transactions_of_many_callers_while_it_plays(tmp_path: Path) -> None:
    """On the machine's timer: each caller waits for its receipts, and they come and go in each other's way."""
    receipts: list[tuple[Receipt, tuple[str, str]]] = []
    state = ("a", "b")

    async def caller(seed: int) -> None:
        nonlocal state
        chance = random.Random(seed)
        for _ in range(30):
            await asyncio.sleep(chance.uniform(0, 0.02))
            old, state = state, chance.choice([one for one in turns(20, chance.random()) if one != state])
            mine = state
            receipts.append((await made.apply(exchange(old, mine)), mine))

    async with studio(tmp_path, tones(), clock="internal", block_frames=512) as made:
        await asyncio.gather(*(caller(seed) for seed in range(10)))
    receipts.sort(key=lambda pair: pair[0].revision)
    check(made, [receipt for receipt, _ in receipts], [state for _, state in receipts])
