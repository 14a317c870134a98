"""Fifty random edits a second, for a long time: memory and the time that a commit takes stay as they are, with storage and without.

A run of the tests does 80 seconds of the engine's time; `TONNETZ_SOAK_S=3600` in the environment an hour, for the figures of
docs/live-editing.md. Time is stepped, three blocks of 320 frames per edit, so an hour takes what the work in it takes.

From time to time the graph is made what it was in the beginning, so that what there is of memory then may be compared.
"""

from __future__ import annotations

import ctypes
import gc
import os
import statistics
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tonnetz.daemon import events, history
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import Settings, StorageSettings
from tonnetz.daemon.startup import begin

from .storm import Storm
from .studio import CALLER, document, node

SECONDS = int(os.environ.get("TONNETZ_SOAK_S", "80"))
EDITS_PER_S = 50
LOOKS = 24
WARM = LOOKS // 2  # looks: until then histories and caches fill
GRAPH = document(
    [node("noise", "tone", wave="pink"), node("wild", "mixer"), node("kept", "null_output"), node("sink", "null_output")],
    "noise.out > kept.in", "noise.out > wild.in_1", "wild.out > sink.in",
)  # fmt: skip


class Allocated(ctypes.Structure):
    """`struct mallinfo2` of the C library."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    ]  # fmt: skip


LIBC = ctypes.CDLL(None)
LIBC.mallinfo2.restype = Allocated


@dataclass(frozen=True)
class Look:
    """At one moment: bytes that are resident, and that C has in use; blocks that Python has; and of the edits since the look
    before, the median of the time that this thread took for one, in yardsticks."""

    resident: int
    allocated: int
    blocks: int
    commit: float


def yardstick() -> float:
    """The time that this thread takes for something that is always the same: the machine's own pace, which others press upon."""
    began = time.thread_time()
    for _ in range(20):
        dict.fromkeys(range(200))
    return time.thread_time() - began


def look(commits: Sequence[float]) -> Look:
    gc.collect()
    LIBC.malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    told = LIBC.mallinfo2()
    allocated = told.uordblks + told.hblkhd
    return Look(pages * os.sysconf("SC_PAGESIZE"), allocated, sys.getallocatedblocks(), statistics.median(commits))


async def soaked(session: Session, seconds: int, hoard: deque[bytes] | None = None) -> list[Look]:
    """What each look found; `hoard` keeps something of every edit."""

    async def apply(edits: object, fade_ms: float | None) -> None:
        began = time.thread_time()
        await session.apply(edits, caller=CALLER, fade_ms=fade_ms)  # type: ignore[arg-type]
        taken_s = time.thread_time() - began
        commits.append(taken_s / yardstick())
        if hoard is not None:
            hoard.append(bytes(4096))

    storm = Storm(SimpleNamespace(session=session, apply=apply), 1, {"noise", "kept", "sink"})  # type: ignore[arg-type]
    looks = []
    for _ in range(LOOKS):
        commits: list[float] = []
        for _ in range(seconds * EDITS_PER_S // LOOKS):
            await storm.rage()
            await session.runtime.step(3)
        await session.load(GRAPH, caller=CALLER, fade_ms=0)
        await session.runtime.step(30)  # more than the longest fade
        looks.append(look(commits))
        if SECONDS >= 3600:
            print(session.revision, looks[-1], flush=True)  # noqa: T201
    return looks


def growth(looks: Sequence[Look], name: str) -> float:
    """By which part a figure grows from the end of the warm-up to the last look, on the straight line that fits best."""
    figures = np.array([getattr(one, name) for one in looks[WARM:]], float)
    slope, begin = np.polyfit(np.arange(len(figures)), figures, 1)
    return float(slope * (len(figures) - 1) / begin)


@pytest.fixture
def small_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that they are full when the warm-up is over."""
    if SECONDS < 3600:
        monkeypatch.setattr(history, "KEPT", 200)
        monkeypatch.setattr(history, "KEPT_STEPS", 400)
        monkeypatch.setattr(events, "PAST", 1000)


async def session_with(folder: Path, stores: bool) -> Session:
    session = Session(clock="step", block_frames=320)
    storage = StorageSettings(directory=str(folder), history_transactions=1000) if stores else False
    await begin(session, Settings(storage=storage, graph=GRAPH))
    await session.runtime.start()
    return session


@pytest.mark.timeout(300 + 2 * SECONDS)
@pytest.mark.parametrize("stores", [False, True], ids=["without-storage", "with-storage"])
async def test_nothing_grows(stores: bool, small_histories: None, tmp_path: Path) -> None:
    session = await session_with(tmp_path, stores)
    try:
        looks = await soaked(session, SECONDS)
        assert len(session.history.since(0)) <= history.KEPT
        assert len(session.history.known) <= history.KEPT_STEPS
        assert all(len(stack) <= history.KEPT_STEPS for stack in session.history.stacks.undoable.values())
        assert session.revision >= SECONDS * EDITS_PER_S * 0.9 and len(session.stage.parts) == len(GRAPH["nodes"])
    finally:
        await session.close()
    grown = {name: growth(looks, name) for name in ("resident", "allocated", "blocks", "commit")}
    print(f"{session.revision} transactions; grown in the second half of {SECONDS} s: {grown}")  # noqa: T201
    assert max(grown["resident"], grown["allocated"], grown["blocks"]) <= 0.01
    # What else the machine does weighs on edits and yardsticks not quite alike; the more so, the fewer they are.
    assert grown["commit"] <= (0.25 if SECONDS >= 3600 else 0.5)


async def test_what_is_kept_of_every_edit_is_found(small_histories: None, tmp_path: Path) -> None:
    """4 kB of each, as a leaked plan would be."""
    session = await session_with(tmp_path, stores=False)
    try:
        looks = await soaked(session, 20, deque())
    finally:
        await session.close()
    assert growth(looks, "allocated") > 0.01
