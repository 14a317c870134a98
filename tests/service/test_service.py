"""The daemon under a service manager: notify.py, activation.py, watchdog.py, and all of it together."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import soundfile
import yaml

from tonnetz.daemon import main
from tonnetz.daemon.service import notify
from tonnetz.daemon.service.activation import passed_sockets
from tonnetz.daemon.service.watchdog import LOOKS, Watchdog
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import parse_settings
from tonnetz.daemon.startup import begin
from tonnetz.rpc.doors.http.port import PortInUse

CONFIGURATION = """
engine: {clock: internal, realtime_priority: 0}
doors: {socket: {path: sock}, http: false, dbus: false}
storage: {directory: state}
media: {play_roots: [.], record_root: .}
graph:
  nodes: [{id: hum, type: tone}, {id: drain, type: null_output}]
  connections: [{source: hum.out, target: drain.in}]
"""


class Manager:
    """The end of a notification socket that systemd has."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(30)

    def hear(self, beginning: str) -> list[str]:
        """The lines of the next message that begins so; those before are passed over."""
        while True:
            lines = self.socket.recv(65536).decode().splitlines()
            if lines[0].startswith(beginning):
                return lines


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    yield made
    made.socket.close()


# ---- Notifications ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_it_is_told_how_it_goes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"tonnetz-{os.getpid()}" if kind == "abstract" else str(tmp_path / "n")
    manager = Manager(f"\0{name}" if kind == "abstract" else name)
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}" if kind == "abstract" else name)
    notify.ready("3 nodes")
    notify.reloading()
    notify.stopping("Finishing files")
    assert manager.hear("READY") == ["READY=1", "STATUS=3 nodes"]
    reloading = manager.hear("RELOADING")
    assert reloading[0] == "RELOADING=1" and int(reloading[1].removeprefix("MONOTONIC_USEC=")) > 0
    assert manager.hear("STOPPING") == ["STOPPING=1", "STATUS=Finishing files"]
    manager.socket.close()


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "relative", "vsock:2:1234"])
def test_nobody_there_is_no_harm(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify.notify("READY=1")


def test_the_watchdogs_period(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    assert notify.watchdog_s() == 10
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert notify.watchdog_s() is None
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    assert notify.watchdog_s() == 10
    for nothing in ("", "0", "soon"):
        monkeypatch.setenv("WATCHDOG_USEC", nothing)
        assert notify.watchdog_s() is None


# ---- The watchdog ----------------------------------------------------------------------------------------------------


class Engine:
    clock = "internal"
    blocks = 0

    def status(self) -> Any:
        return SimpleNamespace(blocks=self.blocks)


def looks(manager: Manager, session: Any, blocks: list[int]) -> list[str]:
    """What is told at each look, with the engine at these counts of blocks."""

    class NoTimer:
        def call_soon(self, look: Any) -> None:
            pass

        def call_later(self, pause: float, look: Any) -> None:
            pass

    watchdog = Watchdog.__new__(Watchdog)
    watchdog._session, watchdog._pause_s, watchdog._loop = session, 2.5, cast("Any", NoTimer())
    watchdog._blocks, watchdog._looks_lost = -1, 0
    told = []
    manager.socket.settimeout(0)
    for count in blocks:
        session.engine.blocks = count
        watchdog._look()
        try:
            told.append(manager.socket.recv(1000).decode().partition("=")[0])
        except BlockingIOError:
            told.append("")
    return told


def test_the_watchdog_is_fed_while_blocks_are_done(manager: Manager, caplog: pytest.LogCaptureFixture) -> None:
    session = SimpleNamespace(engine=Engine(), runtime=SimpleNamespace(state="running"))
    told = looks(manager, session, [0, 5, 5, 5, 5, 6, 6])
    assert told == ["WATCHDOG", "WATCHDOG", "", "STATUS", "STATUS", "WATCHDOG", ""]
    assert "stood still for 5.0 s, at block 5" in caplog.text


@pytest.mark.parametrize(("state", "clock"), [("stopped", "internal"), ("paused", "internal"), ("running", "step")])
def test_an_engine_that_need_not_run_is_not_waited_for(manager: Manager, state: str, clock: str) -> None:
    session = SimpleNamespace(engine=Engine(), runtime=SimpleNamespace(state=state))
    session.engine.clock = clock
    assert looks(manager, session, [0, 0, 0, 0]) == ["WATCHDOG"] * 4


async def test_the_watchdog_looks_often_enough(manager: Manager) -> None:
    session = Session(clock="step")
    watchdog = Watchdog(session, 0.4)
    begin, heard = time.monotonic(), 0
    manager.socket.setblocking(False)
    loop = asyncio.get_running_loop()
    while heard < 2 * LOOKS:
        assert await asyncio.wait_for(loop.sock_recv(manager.socket, 100), 30) == b"WATCHDOG=1"
        heard += 1
    assert time.monotonic() - begin >= 0.7
    watchdog.close()
    await session.close()


# ---- A whole daemon --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def running(
    folder: Path, *before: str, settings: str = CONFIGURATION, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    (folder / "tonnetz.yaml").write_text(settings)
    command = [*before, sys.executable, "-m", "tonnetz.daemon.main", "--config", str(folder / "tonnetz.yaml")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | environment, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def ask(path: str, method: str) -> Any:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(path)
        connection.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode() + b"\n")
        return json.loads(connection.makefile("rb").readline())


def test_a_daemon_under_a_service_manager(folder: Path, manager: Manager) -> None:
    with running(folder, WATCHDOG_USEC="400000") as daemon:
        assert manager.hear("READY") == ["READY=1", "STATUS=2 nodes, 48000 Hz"]
        assert ask(str(folder / "sock"), "runtime.status")["result"]["state"] == "running"
        manager.hear("WATCHDOG=1")
        (folder / "tonnetz.yaml").write_text(CONFIGURATION.replace("type: tone", "type: tone, label: Hum"))
        daemon.send_signal(signal.SIGHUP)
        manager.hear("RELOADING=1")
        assert manager.hear("READY")[1] == "STATUS=Configuration read again; taken over: graph"
        (folder / "tonnetz.yaml").write_text("engine: {block: 7}")
        daemon.send_signal(signal.SIGHUP)
        assert "Not taken over: engine.block: There is no setting" in manager.hear("READY")[1]
        assert "tone" in json.dumps(ask(str(folder / "sock"), "graph.get"))
        daemon.send_signal(signal.SIGTERM)
        manager.hear("STOPPING=1")
        assert daemon.wait(30) == 0
    log = (folder / "log").read_text()
    assert "ERROR tonnetz: the configuration is not taken over: engine.block" in log and "Traceback" not in log


def test_a_socket_that_was_opened_before_is_served_and_stays(folder: Path, manager: Manager) -> None:
    if shutil.which("systemd-socket-activate") is None:
        pytest.skip("systemd-socket-activate is not installed")
    path = str(folder / "activated")
    given = [f"--setenv={name}={value}" for name, value in os.environ.items() if name in ("NOTIFY_SOCKET", "PATH")]
    with running(folder, "systemd-socket-activate", "-l", path, "--fdname=control", *given) as daemon:
        deadline = time.monotonic() + 30
        while not os.path.exists(path):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert ask(path, "system.version")["result"]["api"] == 1, "whoever calls first starts it, and waits"
        manager.hear("READY")
        assert not (folder / "sock").exists()
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
        assert os.path.exists(path)


def test_a_door_that_can_not_be_opened_ends_it_as_gently_as_being_told_to(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sound plays by then: it fades out, and what is in the nodes is kept for the next start."""

    class Jammed:
        async def open(self) -> None:
            await asyncio.sleep(0.3)
            raise PortInUse("somebody was quicker")

        async def close(self) -> None:
            raise AssertionError("it was never open")

    monkeypatch.chdir(folder)
    monkeypatch.setattr(main, "_http_door", lambda *_: Jammed())
    monkeypatch.setattr(main, "lock_memory", lambda: True)  # not that of the tests
    graph = CONFIGURATION.replace("type: null_output", "type: file_writer, config: {path: take.wav, subtype: float}")
    settings = parse_settings(yaml.safe_load(graph.replace("http: false", "http: {listen: '127.0.0.1:0'}")))
    assert asyncio.run(main._serve(settings, None)) == 1
    assert (folder / "state" / "carried.msgpack").exists()
    sound, _ = soundfile.read(folder / "take.wav")
    assert np.abs(sound).max() > 0.05 and np.abs(sound[-16:]).max() == 0


def test_a_start_that_fails_keeps_what_the_last_run_left(folder: Path, manager: Manager) -> None:
    """Nothing has played yet: so the next one may begin with it."""
    with running(folder) as daemon:
        manager.hear("READY")
        daemon.terminate()
        assert daemon.wait(60) == 0
    left = (folder / "state" / "carried.msgpack").read_bytes()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = CONFIGURATION.replace("http: false", f"http: {{listen: '127.0.0.1:{taken.getsockname()[1]}'}}")
        with running(folder, settings=settings) as daemon:
            assert daemon.wait(60) == 1
    assert "set doors.http.listen to another address" in (folder / "log").read_text()
    assert (folder / "state" / "carried.msgpack").read_bytes() == left


def test_sockets_meant_for_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", "1")
    monkeypatch.setenv("LISTEN_FDS", "3")
    monkeypatch.setenv("LISTEN_FDNAMES", "a:b:c")
    assert passed_sockets() == []
    assert not {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} & set(os.environ), "nor are they handed on"


@pytest.mark.parametrize(
    ("clock", "hint"),
    [("frewheel", "Did you mean 'freewheel'?"), ("humm", "Did you mean 'hum'?"), ("hum", None), ("auto", None)],
)
async def test_a_clock_that_is_not_there_is_told(
    clock: str, hint: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Contract, configuration: `clock` is one of three words or a node's id; what is neither must not pass unnoticed."""
    graph = {"nodes": [{"id": "hum", "type": "tone"}]}
    settings = parse_settings({"engine": {"clock": clock}, "storage": False, "graph": graph})
    session = Session(pacing=clock, clock="step")
    with caplog.at_level("WARNING"):
        await begin(session, settings)
    await session.close()
    said = [record.getMessage() for record in caplog.records]
    assert said == (
        [f"engine.clock: there is no node '{clock}' to go by; the timer does till there is. {hint}"] if hint else []
    )
