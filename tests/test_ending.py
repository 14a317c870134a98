"""daemon/ending.py: what sounds when the daemon ends fades out, and the graph stays what it was."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.ending import FADE_MS, fade_out
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.session import Session

CALLER = Caller("uid:0", "admin", "test")
GRAPH = {
    "nodes": [
        {"id": "hum", "type": "tone", "config": {"frequency": 1000, "level_db": -6}},
        {"id": "take", "type": "file_writer", "config": {"path": "take.wav", "format": "wav", "subtype": "float"}},
    ],
    "connections": [{"source": "hum.out", "target": "take.in"}],
}


async def played(folder: Path, *, fading: bool) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A second or so of a tone, ended with a fade or without."""
    session = Session(clock="internal", media=MediaRoots(play_roots=(), record_root=folder))
    await session.load(GRAPH, caller=CALLER)
    await session.runtime.start()
    graph = session.graph
    while session.engine.frame < 24_000:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    if fading:
        await fade_out(session)
    assert session.graph is graph and session.revision == 1
    await session.close()
    sound: np.ndarray[tuple[int], np.dtype[np.float32]] = soundfile.read(folder / "take.wav", dtype="float32")[0][:, 0]
    return sound


async def test_what_sounds_fades_out_before_the_end(tmp_path: Path) -> None:
    sound = await played(tmp_path, fading=True)
    loud = np.flatnonzero(np.abs(sound) > 0.45)
    fade = round(FADE_MS * 48)
    assert len(sound) - fade - 8 * 4800 < loud[-1] < len(sound) - fade / 2
    assert np.abs(sound[-64:]).max() == 0, "the end is silence"
    envelope = np.abs(sound[loud[-1] :])
    assert np.abs(np.diff(sound)).max() < 0.07, "no step is larger than the tone's own"
    assert envelope[: fade // 4].max() > 0.2 > envelope[3 * fade // 4 :].max()


async def test_without_a_fade_it_would_be_cut(tmp_path: Path) -> None:
    sound = await played(tmp_path, fading=False)
    assert np.abs(sound[-64:]).max() > 0.45


@pytest.mark.parametrize("state", ["stopped", "paused"])
async def test_what_does_not_sound_need_not_fade(state: str) -> None:
    session = Session(clock="internal")
    await session.load({"nodes": [{"id": "hum", "type": "tone"}]}, caller=CALLER)
    if state == "paused":
        await session.runtime.pause()
    await asyncio.wait_for(fade_out(session), 1)
    await session.close()
