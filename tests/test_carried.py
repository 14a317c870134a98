"""daemon/carried.py: what sound has left in the nodes outlives a restart, and nothing that does not belong."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.carried import FILE, NOTHING, Carried, read, take, write
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.graph.node_state import NodeState
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import Settings, parse_settings
from tonnetz.daemon.startup import begin, leave

CALLER = Caller("uid:0", "admin", "test")
# A delay line of 500 ms that feeds itself: what is in it is heard long after its source has fallen silent.
GRAPH = {
    "nodes": [
        {"id": "hum", "type": "tone", "config": {"frequency": 440}},
        {"id": "echo", "type": "delay", "config": {"time_ms": 500, "feedback": 0.9, "mix": 1.0}},
        {"id": "song", "type": "file_player", "config": {"path": "ramp.wav"}},
        {"id": "take", "type": "file_writer", "config": {"path": "take.wav", "subtype": "float", "format": "wav"}},
        {"id": "from_file", "type": "file_writer", "config": {"path": "song.wav", "subtype": "float", "format": "wav"}},
    ],
    "connections": [
        {"source": "hum.out", "target": "echo.in"},
        {"source": "echo.out", "target": "take.in"},
        {"source": "song.out", "target": "from_file.in"},
    ],
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    ramp = np.linspace(0, 1, 480_000, dtype=np.float32)
    soundfile.write(tmp_path / "ramp.wav", np.stack([ramp, ramp], axis=1), 48000, subtype="FLOAT")
    return parse_settings({"storage": {"directory": str(tmp_path / "state")}, "graph": GRAPH})


def session_in(folder: Path, record: str) -> Session:
    root = folder / record
    root.mkdir(exist_ok=True)
    return Session(clock="freewheel", media=MediaRoots(play_roots=(folder,), record_root=root))


async def run(folder: Path, record: str, settings: Settings, frames: int) -> Session:
    """One run, stepped by hand for so many frames; it is as good as running when it is left."""
    session = session_in(folder, record)
    await begin(session, settings)
    await session.runtime.step(-(-frames // 256))
    return session


async def test_delay_lines_and_places_in_files_go_on(tmp_path: Path, settings: Settings) -> None:
    first = await run(tmp_path, "first", settings, 48_000)
    session_state = first.runtime
    session_state.state = "running"  # stepped or not, it played until now
    await leave(first)
    session_state.state = "paused"
    await first.close()
    assert (tmp_path / "state" / FILE).exists()
    second = session_in(tmp_path, "second")
    await begin(second, settings)
    assert not (tmp_path / "state" / FILE).exists(), "it is for one start"
    assert second.graph.nodes["song"].config["position_s"] is None, "the graph is what it was"
    await second.runtime.step(100)
    await second.close()
    before, _ = soundfile.read(tmp_path / "first" / "take.wav")
    after, _ = soundfile.read(tmp_path / "second" / "take.wav")
    assert np.abs(before[20_000:23_000]).max() < 1e-9 and np.abs(before[30_000:]).max() > 0.05
    assert np.abs(after[2_000:20_000]).max() > 0.05, "the echo of what the first run heard"
    begun, _ = soundfile.read(tmp_path / "first" / "song.wav")
    went_on, _ = soundfile.read(tmp_path / "second" / "song.wav")
    sounding = went_on[np.flatnonzero(went_on[:, 0] > 0)[0] + 2000, 0]
    assert abs(sounding - begun[-1, 0]) < 0.02 and sounding > 0.05, "the player goes on where it was"


async def test_an_end_takes_the_states_of_hundreds(tmp_path: Path) -> None:
    """One after the other they would take a block each: 600 of them more time than an end has."""
    filters = [{"id": f"filter_{n}", "type": "equalizer"} for n in range(600)]
    nodes = [
        *filters,
        {"id": "echo", "type": "delay"},
        {"id": "gain", "type": "gain"},
        {"id": "end", "type": "null_output"},
    ]
    session = Session(clock="internal", media=MediaRoots(record_root=tmp_path))
    try:
        await session.load({"nodes": nodes, "connections": []}, caller=CALLER, fade_ms=0)
        await session.runtime.start()
        taken = await take(session)
    finally:
        await session.close()
    assert taken.states.keys() == {"echo", *(each["id"] for each in filters)}


async def test_envelopes_go_on(tmp_path: Path) -> None:
    """A compressor that lets go for five seconds is found as it was, and not as it begins."""
    settings = parse_settings(
        {
            "storage": {"directory": str(tmp_path / "state")},
            "graph": {
                "nodes": [
                    {"id": "hum", "type": "tone", "config": {"level_db": 0}},
                    {"id": "squeeze", "type": "compressor", "config": {"threshold_db": -40, "release_ms": 5000}},
                    {"id": "end", "type": "null_output"},
                ],
                "connections": [
                    {"source": "hum.out", "target": "squeeze.in"},
                    {"source": "squeeze.out", "target": "end.in"},
                ],
            },
        }
    )

    async def envelope(session: Session) -> NodeState:
        return (await session.states.get("squeeze")).state

    fresh = await run(tmp_path, "fresh", settings, 0)
    empty = await envelope(fresh)
    await fresh.runtime.step(40)
    squeezed = await envelope(fresh)
    assert squeezed != empty
    fresh.runtime.state = "running"  # stepped or not, it played until now
    await leave(fresh)
    fresh.runtime.state = "paused"
    await fresh.close()
    second = session_in(tmp_path, "second")
    await begin(second, settings)
    assert await envelope(second) == squeezed
    await second.close()


@pytest.fixture
async def playing() -> AsyncIterator[Session]:
    session = Session(clock="step")
    await session.load({"nodes": [node for node in GRAPH["nodes"] if node["id"] in ("hum", "echo")]}, caller=CALLER)
    yield session
    await session.close()


async def test_it_is_written_and_read_once(playing: Session, tmp_path: Path) -> None:
    await playing.runtime.step(10)
    carried = await take(playing)
    assert carried.revision == 1 and set(carried.states) == {"hum", "echo"}
    write(tmp_path, carried)
    assert read(tmp_path, 1, 48000) == carried
    assert read(tmp_path, 1, 48000) is NOTHING


@pytest.mark.parametrize(("revision", "rate"), [(2, 48000), (1, 44100)])
async def test_of_another_graph_or_rate_it_is_nothing(
    playing: Session, tmp_path: Path, revision: int, rate: int
) -> None:
    write(tmp_path, await take(playing))
    assert read(tmp_path, revision, rate) is NOTHING


@pytest.mark.parametrize("data", [b"", b"\xc1nonsense", b"\x80", msgspec.msgpack.encode(Carried(format=99))])
def test_what_can_not_be_read_is_nothing(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    assert read(tmp_path, 1, 48000) == NOTHING
    assert not (tmp_path / FILE).exists()


def test_a_disk_that_is_full_only_loses_the_states(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "nowhere", NOTHING)
    assert "the nodes' states are not kept" in caplog.text


async def test_states_that_do_not_fit_are_left_out(
    tmp_path: Path, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    first = await run(tmp_path, "first", settings, 256)
    await first.close()
    wrong = NodeState("delay", {})
    write(tmp_path / "state", Carried(revision=1, sample_rate=48000, states={"echo": wrong}))
    caplog.set_level(logging.INFO)
    second = session_in(tmp_path, "second")
    await begin(second, settings)
    assert "echo begins empty: The node's state consists of" in caplog.text
    await asyncio.wait_for(second.runtime.step(10), 30)
    await second.close()
