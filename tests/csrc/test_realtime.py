"""What the audio thread asks of the machine, and what it gives back: priority, denormals, signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.rig import catalogue, configured
from tonnetz.daemon.engine.core import (
    ClockKind,
    CoreCommit,
    CoreEngine,
    CoreLink,
    CoreNode,
    CorePlan,
    EngineEvent,
    Route,
)
from tonnetz.daemon.engine.ring import Ring
from tonnetz.daemon.graph.config import flatten

RATE, BLOCK = 48000, 64
BLOCK_S = BLOCK / RATE
PATIENCE_S = 30.0
PRIORITY = 10
TINY = np.float32(1e-39)  # denormal in single precision


def may_run_in_real_time() -> bool:
    command = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    return subprocess.run([sys.executable, "-c", command], check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def real_time() -> None:
    if not may_run_in_real_time():
        pytest.skip("SCHED_FIFO is not allowed here")


def worker(number: int) -> CoreNode:
    """A node that has something to do: 64 channels of noise."""
    values, list_count = flatten(
        catalogue()["tone"], configured("tone", {"channels": 64, "wave": "pink", "seed": number})
    )
    return CoreNode(
        "tone",
        sample_rate=RATE,
        block_frames=BLOCK,
        inputs=(),
        outputs=(64,),
        values=values,
        list_count=list_count,
    )


def loaded(engine: CoreEngine, nodes: list[CoreNode]) -> None:
    engine.submit(CoreCommit(1, CorePlan(nodes, [], BLOCK)))


@pytest.fixture(scope="module")
def cost_s() -> float:
    """What a worker takes of a block: the least of many, as others are at work on this machine too."""
    engine = CoreEngine(RATE, BLOCK, "step")
    loaded(engine, [worker(1)])
    least = PATIENCE_S
    for _ in range(50):
        before = time.thread_time()
        engine.step(4, 1000)
        least = min(least, (time.thread_time() - before) / 4)
    return least


@pytest.mark.parametrize("load", [1.5, 20])
def test_a_thread_that_hogs_its_core_steps_down_before_the_kernel_holds_it(
    load: float, cost_s: float, real_time: None
) -> None:
    """With a little too much to do, and with so much that time is given up again and again."""
    engine = CoreEngine(RATE, BLOCK, "internal", PRIORITY)
    loaded(engine, [worker(number) for number in range(int(load * BLOCK_S / cost_s) + 1)])
    engine.start()
    try:
        told = [event for event in until(engine, "stepped_down") if event.kind == "stepped_down"]
        assert engine.status().realtime_priority == 0
        assert scheduling_of_threads() == {os.SCHED_OTHER}
    finally:
        engine.stop()
    assert len(told) == 1
    assert 0.7 < told[0].value < 0.95, "seconds of work in a row; the kernel allows 0.95"
    assert engine.status().late_blocks > 0


def until(engine: CoreEngine, kind: str) -> list[EngineEvent]:
    heard: list[EngineEvent] = []
    end = time.monotonic() + PATIENCE_S
    while not any(event.kind == kind for event in heard):
        assert time.monotonic() < end, f"no {kind} among {heard}"
        time.sleep(0.02)
        heard += engine.events()
    return heard


def scheduling_of_threads() -> set[int]:
    found = set()
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # others come and go
            found.add(os.sched_getscheduler(int(thread)))
    return found


def test_a_thread_with_little_to_do_keeps_its_priority(real_time: None) -> None:
    engine = CoreEngine(RATE, BLOCK, "internal", PRIORITY)
    loaded(engine, [worker(1)])
    engine.start()
    time.sleep(1.2)  # more than the thread may hog
    heard, priority, scheduling = engine.events(), engine.status().realtime_priority, scheduling_of_threads()
    engine.stop()
    assert not [event for event in heard if event.kind == "stepped_down"]
    assert (priority, scheduling) == (PRIORITY, {os.SCHED_OTHER, os.SCHED_FIFO})


# ---- Denormals -----------------------------------------------------------------------------------------------------


def denormals_are_kept() -> bool:
    """In the calling thread, by the processor, single and double."""
    single, double = np.array([TINY]), np.array([sys.float_info.min])
    return bool(
        (single * np.float32(0.5) > 0).all() and (single * np.float32(1e10) > 0).all() and (double * 0.5 > 0).all()
    )


@pytest.mark.parametrize("clock", ["internal", "freewheel", "step"])
def test_the_audio_thread_flushes_denormals_and_nobody_else_does(clock: ClockKind) -> None:
    assert denormals_are_kept()
    engine = CoreEngine(RATE, BLOCK, clock)
    given, heard = Ring(1, 4 * BLOCK), Ring(1, 4 * BLOCK)
    given.write(np.full((1, 2 * BLOCK), TINY, np.float32))
    shape = {"sample_rate": RATE, "block_frames": BLOCK}
    source = CoreNode("ring_source", **shape, inputs=(), outputs=(1,), values=(-6.0,), ring=given)
    sink = CoreNode("ring_sink", **shape, inputs=(1,), outputs=(), values=(), ring=heard)
    engine.submit(CoreCommit(1, CorePlan([source, sink], [Route(CoreLink(True), 0, 0, 1, 0, False)], BLOCK)))
    if clock == "step":
        engine.step(2, 1000)
    else:
        engine.start()
        assert heard.wait_frames(2 * BLOCK, int(1000 * PATIENCE_S)) >= 2 * BLOCK
    assert denormals_are_kept()
    engine.stop()
    assert denormals_are_kept()
    assert not heard.read(2 * BLOCK).any()


def test_loading_the_core_leaves_the_loading_thread_alone() -> None:
    """Linking with -ffast-math would not: the start-up code that it adds flushes denormals in whoever loads the core."""
    check = (
        "import sys; tiny = sys.float_info.min; import tonnetz._core; assert 'numpy' not in sys.modules;"
        "assert tiny * 0.5 > 0 and (tiny * 0.5) * 1e10 > 0"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


# ---- Signals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("clock", ["internal", "freewheel"])
def test_signals_are_for_others(clock: ClockKind) -> None:
    before = set(os.listdir("/proc/self/task"))
    engine = CoreEngine(RATE, BLOCK, clock)
    engine.start()
    while engine.status().blocks < 3:
        time.sleep(0.01)
    (thread,) = set(os.listdir("/proc/self/task")) - before
    status = Path(f"/proc/self/task/{thread}/status").read_text()
    engine.stop()
    blocked = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigBlk:"))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM, signal.SIGUSR1, signal.SIGHUP):
        assert blocked >> (number - 1) & 1, f"{number.name} may interrupt the audio thread"
    for number in (signal.SIGSEGV, signal.SIGSYS):
        assert not blocked >> (number - 1) & 1
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
