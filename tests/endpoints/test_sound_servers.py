"""Nodes that play to, and capture from, the sound servers that stand between programs and cards on many machines. Their clocks jitter, and on a
busy machine they drop out: pitch and level of good stretches are looked at, and whether both nodes run."""

from __future__ import annotations

import asyncio
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.graph.edits import AddNode, Connect
from tonnetz.daemon.session import Session

from ..alsa.servers import jack, pulseaudio
from ..alsa.test_servers import FREQUENCY, LEVEL, RATE, STRETCH, pitch

CARD = {"period_frames": 1024, "periods": 4, "buffer_ms": 20}


@pytest.mark.parametrize("pacing", ["", "auto"], ids=["followed", "clock"])
@pytest.mark.parametrize(
    "start",
    [
        pytest.param(jack, marks=pytest.mark.skipif(not shutil.which("jackd"), reason="jackd is not installed")),
        pytest.param(
            pulseaudio, marks=pytest.mark.skipif(not shutil.which("pulseaudio"), reason="pulseaudio is not installed")
        ),
    ],
)
async def test_a_server_plays_and_is_heard(
    start: Any, pacing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with start(tmp_path) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        media = MediaRoots(play_roots=(tmp_path,), record_root=tmp_path)
        session = Session(sample_rate=RATE, block_frames=256, pacing=pacing, media=media)
        try:
            await session.apply(
                [
                    AddNode(
                        id="tone", type="tone", config={"frequency": FREQUENCY, "level_db": 20 * math.log10(LEVEL)}
                    ),
                    AddNode(id="out", type="alsa_output", config={"device": server.playback, **CARD}),
                    AddNode(id="mic", type="alsa_input", config={"device": server.capture, **CARD}),
                    AddNode(id="tape", type="file_writer", config={"path": "tape", "subtype": "float"}),
                    Connect(source="tone.out", target="out.in"),
                    Connect(source="mic.out", target="tape.in"),
                ],
                caller=Caller("test", "admin", "test"),
            )
            await session.runtime.start()
            good, deadline = 0, time.monotonic() + 40
            while good < 2:
                assert time.monotonic() < deadline, [node.get("detail") for node in session.view()["nodes"]]
                await asyncio.sleep(0.5)
                heard, _ = soundfile.read(tmp_path / "tape.wav", dtype="float32", always_2d=True)
                stretches = [heard[at : at + STRETCH, 0] for at in range(0, len(heard) - STRETCH, STRETCH // 2)]
                good = sum(
                    abs(float(np.sqrt(np.mean(stretch**2))) - LEVEL / 2**0.5) < 0.02 * LEVEL
                    and abs(pitch(stretch) - FREQUENCY) < 2
                    for stretch in stretches
                )
            states = {node["id"]: node for node in session.view()["nodes"]}
            assert states["out"]["state"] == states["mic"]["state"] == "running"
            assert session.runtime.status()["clock"] == ("out" if pacing else "internal")
        finally:
            await session.close()
