"""The daemon and what the machine grants it: real-time priority, locked memory; and a daemon that was stopped for a while,
as debuggers, suspended machines and hypervisors do it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from .tonnetzd import RATE, Daemon, configuration, until_frame

PRIORITY = 10
HELD_S = 1.5
ENGINE = {**configuration()["engine"], "realtime_priority": PRIORITY}
PERIOD = RATE // 100  # of the sine that is played


def granted(what: str) -> bool:
    """Tries it in another process."""
    return subprocess.run([sys.executable, "-c", what], check=False, capture_output=True).returncode == 0


def may_run_in_real_time() -> bool:
    return granted("import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))")


def may_lock_memory() -> bool:
    """Without limit: either there is none, or it does not hold for us."""
    return granted(
        "import ctypes, resource as r; soft, hard = r.getrlimit(r.RLIMIT_MEMLOCK); soft < 0 or r.setrlimit(r.RLIMIT_MEMLOCK, (0, hard));"
        "raise SystemExit(ctypes.CDLL(None).mlockall(1))"
    )


def of_process(daemon: Daemon, key: str) -> str:
    assert daemon.process is not None
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return next(line.split(":", 1)[1].strip() for line in status.splitlines() if line.startswith(f"{key}:"))


def priorities(daemon: Daemon) -> list[int]:
    """Of all threads, those that have one."""
    assert daemon.process is not None
    found = []
    for thread in os.listdir(f"/proc/{daemon.process.pid}/task"):
        with contextlib.suppress(ProcessLookupError):  # others come and go
            found.append(os.sched_getparam(int(thread)).sched_priority)
    return [priority for priority in found if priority]


def test_it_gets_what_the_machine_grants_and_says_so(daemon: Daemon) -> None:
    client = daemon.start(engine=ENGINE)
    until_frame(client, RATE // 10)
    told = client.call("runtime.performance")
    assert told["realtime_priority"] == (PRIORITY if may_run_in_real_time() else 0)
    assert told["memory_locked"] == may_lock_memory()
    assert priorities(daemon) == [PRIORITY] * may_run_in_real_time()
    assert (of_process(daemon, "VmLck") != "0 kB") == may_lock_memory()
    assert daemon.end(signal.SIGTERM)[0] == 0


def test_with_neither_it_works_all_the_same(daemon: Daemon) -> None:
    """Not even a limit of 64 MB on what may be locked hinders it from having more than that."""
    if os.getuid() == 0:
        daemon.under = ("setpriv", "--bounding-set=-sys_nice,-ipc_lock")
    daemon.under = ("prlimit", "--memlock=65536:65536", "--rtprio=0:0", *daemon.under)
    client = daemon.start(engine=ENGINE)
    document = client.call("graph.get")
    nodes = [{"id": f"delay_{n}", "type": "delay", "config": {"max_ms": 10_000}} for n in range(50)]  # 2 x 2 MB each
    client.call(
        "graph.import",
        document={**{k: document[k] for k in ("version", "connections")}, "nodes": [*plain(document), *nodes]},
    )
    until_frame(client, client.call("runtime.status")["frame"] + RATE // 10)
    told = client.call("runtime.performance")
    assert (told["realtime_priority"], told["memory_locked"], told["faults"]) == (0, False, 0)
    assert len(told["nodes"]) == 56
    assert priorities(daemon) == []
    assert of_process(daemon, "VmLck") == "0 kB"
    status, said = daemon.end(signal.SIGTERM)
    assert status == 0 and "memory is not locked" in said, said


def plain(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: node[key] for key in ("id", "type", "config")} for node in document["nodes"]]


def test_stopped_for_seconds_it_goes_on_by_itself_and_counts_what_it_missed(daemon: Daemon) -> None:
    client = daemon.start(engine=ENGINE)
    until_frame(client, 2 * RATE)
    events = daemon.client().events(["log"])
    before = client.call("runtime.performance")
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    time.sleep(HELD_S)
    daemon.process.send_signal(signal.SIGCONT)

    told = next(events)["params"]
    client.call("graph.rename_node", id="mix", label="still here")
    after = client.call("runtime.performance")
    passed_s = time.monotonic() - stopped
    assert "held up" in told["message"]
    assert after["gaps"] > before["gaps"]
    missed_s = (after["gap_frames"] - before["gap_frames"]) / RATE
    assert HELD_S - 0.1 < missed_s < passed_s + 0.1
    assert after["realtime_priority"] == before["realtime_priority"], "who is stopped does not hog its core"

    last = until_frame(client, after["frame"] + RATE)
    status, said = daemon.end(signal.SIGTERM)
    assert status == 0, said
    samples, _ = soundfile.read(daemon.folder / "recordings" / "take.wav", dtype="float32", always_2d=True)
    assert len(samples) >= last
    steady = samples[RATE:last]  # from when the equalizer has settled to before the fade at the end
    assert np.abs(steady).max() > 0.3
    assert np.abs(steady[PERIOD:] - steady[:-PERIOD]).max() < 1e-4, "a sine without a flaw from before to after"
