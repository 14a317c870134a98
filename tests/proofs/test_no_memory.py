"""A core that is refused memory, at every single allocation of a transaction on a running engine: the transaction is refused whole and
leaves nothing behind, what plays goes on bit for bit, and the same transaction succeeds as soon as memory is there.

The same for the core by itself, with a leak checker: csrc/tests/test_no_memory.c.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tonnetz import _core
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.graph.edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    RemoveNode,
    ReplaceNode,
)
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session

from .studio import CALLER, document, node, recorder

BLOCKS_AFTER = 40
SCENE = [
    node("noise", "tone", wave="pink", level_db=-6, seed=3),
    node("music", "file_player", path="music.wav", loop=True),
    node("eq", "equalizer", bands=[{"frequency": 300, "gain_db": 6}]),
    node("late", "delay", time_ms=70, feedback=0.6, mix=0.5),
    node("level", "gain", gain_db=-3),
    node("mix", "mixer", inputs=[{}, {"pan": -0.5}]),
    recorder("heard", 2),
    recorder("leaving", 2),
]
WIRES = (
    "noise.out > eq.in",
    "eq.out > late.in",
    "late.out > mix.in_1",
    "music.out > level.in",
    "level.out > mix.in_2",
    "mix.out > heard.in",
    "mix.out > leaving.in",
)

# What there is: nodes of all sorts come (with threads, files and rings behind two of them), wires, another node in the place of one, other
# structures of kept ones, a recorder and a processor that leave, a bypass.
MANY: list[AnyEdit] = [
    AddNode(type="tone", id="extra", config={"wave": "white", "level_db": -20, "seed": 9}),
    AddNode(type="file_player", id="more_music", config={"path": "music.wav"}),
    AddNode(type="file_writer", id="also_heard", config={"path": "also_heard", "subtype": "float"}),
    AddNode(type="compressor", id="squeeze", config={"lookahead_ms": 3}),
    Connect(source="extra.out", target="squeeze.in"),
    Connect(source="more_music.out", target="squeeze.sidechain"),
    Connect(source="squeeze.out", target="also_heard.in"),
    Connect(source="squeeze.out", target="heard.in"),
    ReplaceNode(id="level", type="equalizer"),
    ConfigureNode(id="eq", config={"bands": [{"frequency": 200, "gain_db": 9}, {"frequency": 2000, "gain_db": -9}]}),
    ConfigureNode(id="late", config={"max_ms": 500.0, "time_ms": 50.0}),
    ConfigureNode(id="mix", config={"gain_db": -3.0}),
    BypassNode(id="music", bypass=True),
    RemoveNode(id="leaving"),
]
PARAMETERS: list[AnyEdit] = [
    ConfigureNode(id="mix", config={"gain_db": -3.0}),
    ConfigureNode(id="late", config={"feedback": 0.2}),
    ConfigureNode(id="eq", config={"bands": {"0": {"gain_db": -6.0}}}),
]

fail_allocation: Callable[[int], int] = ctypes.CDLL(_core.__file__).tz_fail_allocation
fail_allocation.argtypes, fail_allocation.restype = [ctypes.c_long], ctypes.c_long  # type: ignore[attr-defined]


@contextmanager
def starving(number: int) -> Iterator[None]:
    """Within, the allocation of this number, from 0, fails."""
    fail_allocation(number)
    try:
        yield
    finally:
        fail_allocation(-1)


@asynccontextmanager
async def playing(folder: Path) -> AsyncIterator[Session]:
    """A running session of the scene above. When it has ended all files of `recorded` are whole."""
    soundfile.write(folder / "music.wav", np.random.default_rng(1).uniform(-0.3, 0.3, (30_000, 2)), 48_000)
    session = Session(clock="step", media=MediaRoots(play_roots=(folder,), record_root=folder / "recorded"))
    try:
        await session.load(document(SCENE, *WIRES), caller=CALLER, fade_ms=0)
        await session.runtime.start()
        yield session
    finally:
        await session.close()


def standing(session: Session) -> tuple[Any, ...]:
    """All that a refused request has to leave as it was."""
    return (
        session.graph,
        session.revision,
        session.runtime.state,
        session.stage.scene,
        list(session.history._entries),
        sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("endpoint")),
    )


async def starved(session: Session, request: Callable[[], Coroutine[Any, Any, Any]], blocks_between: int = 1) -> int:
    """Makes a request again and again until it has all memory that it asks for. How often it had not."""
    for refused in itertools.count():
        before = standing(session)
        try:
            with starving(refused):
                await request()
            return refused
        except Refusal as refusal:
            name, message = refusal.name, refusal.message
        assert name == "unavailable"
        assert "memory" in message
        assert standing(session) == before
        if blocks_between:
            await session.runtime.step(blocks_between)
    raise AssertionError


async def played(
    folder: Path, edits: list[AnyEdit], calm_blocks: int | None = None
) -> tuple[dict[str, NDArray[np.float32]], int]:
    """What all files hold in the end, and how often the edits were refused. `calm_blocks`: they never are, and come after so many blocks."""
    async with playing(folder) as session:
        transaction = functools.partial(session.apply, edits, caller=CALLER)
        if calm_blocks is None:
            refused = await starved(session, transaction)
        else:
            refused = 0
            await session.runtime.step(calm_blocks)
            await transaction()
        await session.runtime.step(BLOCKS_AFTER)
    files = {path.name: soundfile.read(path, dtype="float32")[0] for path in (folder / "recorded").iterdir()}
    return files, refused


@pytest.mark.parametrize(("edits", "least"), [(MANY, 60), (PARAMETERS, 4)], ids=["many edits", "parameters alone"])
async def test_a_transaction_without_memory_is_refused_whole(edits: list[AnyEdit], least: int, tmp_path: Path) -> None:
    for run in ("starved", "calm"):
        (tmp_path / run).mkdir()
    heard, refused = await played(tmp_path / "starved", edits)
    assert refused >= least
    calm, _ = await played(tmp_path / "calm", edits, calm_blocks=refused)
    assert heard.keys() == calm.keys()
    assert all(len(sound) > 256 and np.ptp(sound) > 0.01 for sound in calm.values())
    for name, sound in calm.items():
        np.testing.assert_array_equal(heard[name], sound, name)


async def test_a_start_without_memory_is_refused(tmp_path: Path) -> None:
    """It begins all files anew, which takes rings, nodes and a plan."""
    async with playing(tmp_path) as session:
        runtime = session.runtime
        for start in (runtime.start, runtime.pause):
            await runtime.step(5)
            await runtime.stop()
            assert await starved(session, start, blocks_between=0) > 10
            assert runtime.state != "stopped"
        await runtime.step(5)
    lengths = {path.name: soundfile.info(path).frames for path in (tmp_path / "recorded").iterdir()}
    assert len(lengths) == 6
    assert set(lengths.values()) == {5 * 256}


async def test_what_has_faded_out_leaves_when_there_is_memory_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Clearing the stage is put off, and nobody hears of it."""
    async with playing(tmp_path) as session:
        await session.runtime.pause()  # while it runs, it is also cleared by the clock
        await session.runtime.step(1)
        await session.apply([RemoveNode(id="late")], caller=CALLER)
        for refused in itertools.count():
            with starving(refused):
                await session.runtime.step(5)  # 27 ms: longer than the fade
            if not session.stage.has_fades:
                break
            assert len(session.stage.parts) == len(SCENE)
        assert refused > 5
        assert len(caplog.messages) == refused
        assert len(session.stage.parts) == len(SCENE) - 1
