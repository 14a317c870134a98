"""The same graph sounds the same to the bit: on every clock, in blocks of any size, from files that are decoded as they
play, and once more from the start."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.engine.core import ClockKind

from ..recordings import Samples
from .studio import Studio, document, node, recorder, studio

FRAMES = 96_000


def sounds(folder: Path) -> None:
    folder.mkdir()
    chance = np.random.default_rng(1)
    soundfile.write(folder / "music.flac", chance.uniform(-0.5, 0.5, (70_000, 2)), 44_100)
    soundfile.write(folder / "loop.wav", chance.uniform(-0.5, 0.5, 4_001), 48_000, subtype="PCM_24")


def graph() -> dict[str, Any]:
    """Two players, one at another rate and one in a short loop, through everything that remembers."""
    nodes = [
        node("music", "file_player", path="music.flac"),
        node("loop", "file_player", path="loop.wav", loop=True, channels=1),
        node("eq", "equalizer", bands=[{"frequency": 300, "gain_db": 6}, {"type": "high_pass", "frequency": 50}]),
        node("squeeze", "compressor", threshold_db=-30, lookahead_ms=3),
        node("late", "delay", time_ms=90, feedback=0.5, mix=0.5),
        node("mix", "mixer", inputs=[{}, {"gain_db": -6, "pan": -0.5}]),
        recorder("heard", 2),
    ]
    wires = ["music.out > eq.in", "eq.out > squeeze.in", "loop.out > squeeze.sidechain", "squeeze.out > late.in"]
    return document(nodes, *wires, "late.out > mix.in_1", "loop.out > mix.in_2", "mix.out > heard.in")


async def enough(made: Studio) -> None:
    """Lets it run for FRAMES and a little more."""
    engine = made.session.engine
    if engine.clock == "step":
        await made.session.runtime.step(FRAMES // engine.block_frames + 1)
    while engine.frame < FRAMES:  # noqa: ASYNC110 - nobody tells of frames
        await asyncio.sleep(0.01)


async def played(folder: Path, clock: ClockKind = "step", block_frames: int = 256) -> Samples:
    sounds(folder)
    async with studio(folder, graph(), clock=clock, block_frames=block_frames) as made:
        await enough(made)
    return made.recordings["heard"][:, :FRAMES]


@pytest.mark.parametrize(
    ("clock", "block_frames"), [("step", 256), ("step", 16), ("step", 2048), ("freewheel", 256), ("freewheel", 100)]
)
async def test_a_graph_with_players_sounds_the_same(clock: ClockKind, block_frames: int, tmp_path: Path) -> None:
    first = await played(tmp_path / "first")
    assert first.shape == (2, FRAMES)
    assert np.sqrt(np.mean(np.square(first[:, -48_000:]))) > 0.05, "next to nothing is heard"
    np.testing.assert_array_equal(await played(tmp_path / "again", clock, block_frames), first)
