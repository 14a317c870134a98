"""What runs in a process of its own, on a core whose audio side is trapped: `python trapped.py CORE tests/… …` runs those
tests, `python trapped.py CORE sins` commits all sins of csrc/tests/trap_core.c. csrc/tests/trap.c must be preloaded."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from typing import Any

import pytest

SINS = ("none", "malloc", "free", "pthread_mutex_lock", "open", "clock_nanosleep", "write", "system call")
OCCASIONS = ("process", "adopt", "transfer", "reset")


def load_core(path: str) -> None:
    """Lets `tonnetz._core` be the one at this path."""
    spec = importlib.util.spec_from_file_location("tonnetz._core", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["tonnetz._core"] = module


def meter_always() -> None:
    """Every engine measures levels, whether anybody looks or not."""
    from tonnetz.daemon.engine.core import CoreEngine

    make = CoreEngine.__init__

    def made(engine: CoreEngine, *arguments: Any) -> None:
        make(engine, *arguments)
        engine.meter(True)

    CoreEngine.__init__ = made
    CoreEngine.meter = lambda engine, on, meter=CoreEngine.meter: meter(engine, True)


def commit(sin: int, occasion: int) -> None:
    """Plays a node that sins when its occasion comes: while it plays, is retuned, is muted for NaN, or is succeeded."""
    from tonnetz.daemon.engine.core import CoreCommit, CoreEngine, CoreNode, CorePlan

    values = (float(sin), float(occasion))
    engine = CoreEngine(48000, 64, "step")
    first, second = (
        CoreNode("sinner", sample_rate=48000, block_frames=64, inputs=(), outputs=(1,), values=values) for _ in range(2)
    )
    engine.submit(CoreCommit(1, CorePlan([first], [], 64)))
    engine.step(2, 1000)
    change = CoreCommit(2, CorePlan([second], [], 64))
    change.set(second, values, 0)
    change.transfer(first, second)
    engine.submit(change)
    engine.step(2, 1000)


def outcome_of(sin: int, occasion: int) -> str:
    """In a child: its exit status, and the first line of what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writing, 2)
        commit(sin, occasion)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        first = said.read().partition("\n")[0]
    return f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])} {first}".strip()


def main() -> int:
    core, *what = sys.argv[1:]
    load_core(core)
    trap = ctypes.CDLL(None)
    trap.tz_trap_times.restype = ctypes.c_ulong
    trap.tz_trap_watches_the_kernel.restype = ctypes.c_bool
    if what == ["sins"]:
        importlib.import_module("tonnetz.daemon.engine.core")  # once, before there are children
        for sin, name in enumerate(SINS):
            for occasion, when in enumerate(OCCASIONS):
                sys.stdout.write(f"{name}, {when}: {outcome_of(sin, occasion)}\n")
                sys.stdout.flush()  # or the children would say it again
        commit(0, 0)
        status = 0
    else:
        meter_always()
        status = pytest.main(["-q", "-p", "no:cacheprovider", *what])
    sys.stdout.write(f"watched: {trap.tz_trap_times()} times, the kernel: {trap.tz_trap_watches_the_kernel()}\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
