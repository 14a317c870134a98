"""What no edit touches sounds, to the bit, as if nothing had been edited; what is kept keeps its memory; and a graph sounds
the same however it came about."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import numpy as np
import pytest

from tonnetz.daemon.engine.core import ClockKind
from tonnetz.daemon.graph.document import to_document
from tonnetz.daemon.graph.edits import Connect, Disconnect

from ..recordings import Samples
from .storm import STATELESS, Storm
from .studio import document, node, recorder, studio

BLOCKS = 400
KEPT = [
    node("noise", "tone", wave="pink", level_db=-3, channels=2),
    node("sweep", "tone", wave="sweep", sweep_s=1, channels=1),
    node("eq", "equalizer", bands=[{"frequency": 200, "gain_db": 9, "q": 4}, {"type": "low_pass", "slope_db_oct": 48}]),
    node("squeeze", "compressor", threshold_db=-30, release_ms=300, lookahead_ms=5),
    node("late", "delay", time_ms=150, feedback=0.7, mix=0.5),
    node("mix", "mixer", inputs=[{}, {"gain_db": -6, "pan": 0.3}, {"gain_db": -3}]),
    recorder("kept", 2),
    recorder("wild", 2),
]
WIRES = (
    "noise.out > eq.in",
    "eq.out > squeeze.in",
    "sweep.out > squeeze.sidechain",
    "squeeze.out > late.in",
    "late.out > mix.in_1",
    "sweep.out > mix.in_2",
    "noise.out > mix.in_3",
    "mix.out > kept.in",
)
UNTOUCHED = {"noise", "sweep", "eq", "squeeze", "late", "mix", "kept"}


async def undisturbed(folder: Path, blocks: int = BLOCKS) -> Samples:
    async with studio(folder, document(KEPT, *WIRES)) as made:
        await made.session.runtime.step(blocks)
    return made.recordings["kept"]


@pytest.mark.parametrize("seed", range(6))
async def test_a_branch_beside_a_storm_of_edits_is_the_same_to_the_bit(seed: int, tmp_path: Path) -> None:
    calm = await undisturbed(tmp_path / "calm")
    async with studio(tmp_path / "storm", document(KEPT, *WIRES)) as made:
        storm = Storm(made, seed, UNTOUCHED)
        left, transactions = BLOCKS, 0
        while left:
            for _ in range(storm.chance.randint(0, 3)):
                transactions += await storm.rage()
            blocks = min(left, storm.chance.randint(1, 6))
            await made.session.runtime.step(blocks)
            left -= blocks
    assert transactions > 100
    assert np.ptp(made.recordings["wild"]) > 0.1, "the storm was not heard"
    np.testing.assert_array_equal(made.recordings["kept"], calm)


@pytest.mark.parametrize("clock", ["internal", "freewheel"])
async def test_so_it_is_while_an_audio_thread_runs(clock: ClockKind, tmp_path: Path) -> None:
    """Three crowds at once; plans are adopted and cleared away whenever the threads happen to meet."""

    async def crowd(storm: Storm) -> int:
        accepted = 0
        while made.session.revision < 150:
            accepted += await storm.rage()
        return accepted

    async with studio(tmp_path / "storm", document(KEPT, *WIRES), clock=clock) as made:
        assert sum(await asyncio.gather(*(crowd(Storm(made, seed, UNTOUCHED)) for seed in range(3)))) > 120
    assert np.ptp(made.recordings["wild"]) > 0.1, "the storm was not heard"
    heard = made.recordings["kept"]
    np.testing.assert_array_equal(heard, await undisturbed(tmp_path / "calm", heard.shape[1] // 256))


async def test_so_it_is_when_the_engine_is_held_and_stopped_and_goes_on(tmp_path: Path) -> None:
    """A stop completes the files; the next ones begin at the frame where these end. Nodes keep what they remember."""
    async with studio(tmp_path / "storm", document(KEPT, *WIRES)) as made:
        storm, runtime = Storm(made, 1, UNTOUCHED), made.session.runtime
        for number, halt in enumerate([runtime.pause, runtime.stop, runtime.stop, runtime.pause] * 5):
            for _ in range(2):
                await storm.rage()
            await runtime.step(15)
            await halt()
            await storm.rage()
            if number % 2:
                await runtime.start()
            else:
                await runtime.step(5)  # starts it too
            made.recorders.note()
    assert len(made.files["kept"]) == 11
    np.testing.assert_array_equal(made.recordings["kept"], await undisturbed(tmp_path / "calm", 20 * 15 + 10 * 5))


SOURCES = [
    node("one", "tone", wave="white", seed=1, level_db=-12, channels=1),
    node("two", "tone", wave="white", seed=2, level_db=-12, channels=2),
    node("three", "tone", wave="sine", frequency=321.7, level_db=-9, channels=2),
    recorder("wild", 2),
]


@pytest.mark.parametrize("seed", range(12))
async def test_a_graph_sounds_the_same_however_it_came_about(seed: int, tmp_path: Path) -> None:
    """After a storm has settled it gives, to the bit, what its document gives when it is loaded afresh: no wire is left
    over or missing, every gain has arrived, and even the order in which floats are added is the same."""
    async with studio(tmp_path / "long", document(SOURCES, "one.out > wild.in")) as made:
        storm = Storm(made, seed, {"one", "two", "three"}, STATELESS)
        while made.session.revision < 60 or len(made.session.graph.connections) < 8:
            await storm.rage()
            await made.session.runtime.step(storm.chance.randint(0, 4))
        await made.session.runtime.step(20)  # 5120 frames: all fades and glides are over
        settled = made.session.engine.frame
        await made.session.runtime.step(10)
        graph = to_document(made.session.graph, made.session.catalogue)
    storm.chance.shuffle(graph["nodes"])
    storm.chance.shuffle(graph["connections"])
    async with studio(tmp_path / "fresh", graph) as fresh:
        await fresh.session.runtime.step(made.session.engine.frame // 256)
    np.testing.assert_array_equal(made.recordings["wild"][:, settled:], fresh.recordings["wild"][:, settled:])


async def test_many_sources_of_one_input_sound_the_same_in_whatever_order_they_came(tmp_path: Path) -> None:
    """Twelve floats added in another order differ in their last bit."""
    names = [f"tone_{number}" for number in range(12)]
    nodes = [node(name, "tone", wave="white", seed=number, level_db=-20) for number, name in enumerate(names)]
    chance = random.Random(1)
    heard = []
    for run in range(4):
        chance.shuffle(nodes)
        chance.shuffle(names)
        graph = document([*nodes, recorder("sum", 2)], *(f"{name}.out > sum.in" for name in names))
        async with studio(tmp_path / str(run), graph) as made:
            await made.session.runtime.step(5)
            for name in names[:run]:
                ends = {"source": f"{name}.out", "target": "sum.in"}
                await made.apply([Disconnect(**ends)], 5.0)
                await made.session.runtime.step(run)
                await made.apply([Connect(**ends)], 5.0)
            await made.session.runtime.step(40 - made.session.engine.frame // 256)
        heard.append(made.recordings["sum"][:, -5120:])
    for other in heard[1:]:
        np.testing.assert_array_equal(other, heard[0])
