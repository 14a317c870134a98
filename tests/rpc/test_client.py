"""rpc/client.py: what it returns, and how it says that nobody is there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tonnetz.rpc.client import Client, NotReached, Refused, default_path


@contextmanager
def server(folder: Path, serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """Something else than a daemon behind a socket: `serve` gets the first connection."""
    path = str(folder / "socket")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()

        def run() -> None:
            connection, _ = listening.accept()
            with connection:
                serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        yield path
        thread.join(10)


def test_results_refusals_and_batches(daemon: Any) -> None:
    with daemon.client() as client:
        assert client.call("system.version")["api"] == 1
        with pytest.raises(Refused) as refused:
            client.call("graph.remove_node", id="nobody", strategy="slowly")
        error = refused.value
        assert (error.code, error.name) == (-32602, "invalid_params")
        assert [problem["where"] for problem in error.problems] == ["strategy"]
        version, missing, status = client.batch(
            [("system.version", {}), ("nodes.schema", {"type": "gian"}), ("runtime.status", {})]
        )
        assert version["api"] == 1 and status["clock"] == "step"
        assert isinstance(missing, Refused) and missing.name == "not_found" and "Did you mean 'gain'" in missing.message


def test_notifications_are_not_answered(daemon: Any) -> None:
    with daemon.client() as client:
        client.notify("graph.rename_node", id="hum", label="Hum")
        nodes = client.call("graph.get")["nodes"]
        assert next(node for node in nodes if node["id"] == "hum")["label"] == "Hum"


def test_events_and_answers_share_the_connection(daemon: Any) -> None:
    with daemon.client() as listener, daemon.client() as actor:
        events = listener.events(["parameter_changed"])
        actor.call("graph.configure_node", id="hum", config={"frequency": 60})
        actor.call("graph.configure_node", id="hum", config={"frequency": 50})
        assert [next(events)["params"]["value"] for _ in range(2)] == [60, 50]
        actor.call("graph.configure_node", id="hum", config={"frequency": 61})
        assert listener.call("runtime.status")["state"] == "running"  # the event is before the answer
        actor.call("graph.configure_node", id="hum", config={"frequency": 50})
        assert [next(events)["params"]["value"] for _ in range(2)] == [61, 50]


def test_nobody_there(folder: Path) -> None:
    with pytest.raises(NotReached, match=r"no daemon at .*: there is no such socket"):
        Client(str(folder / "nothing"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "dead"))
    with pytest.raises(NotReached, match="nobody listens on that socket any more"):
        Client(str(folder / "dead"))


def test_a_daemon_that_hangs_up(folder: Path) -> None:
    with (
        server(folder, lambda connection: None) as path,
        Client(path) as client,
        pytest.raises(NotReached, match="closed the connection"),
    ):
        client.call("system.version")


def test_a_daemon_that_does_not_answer(folder: Path) -> None:
    done = threading.Event()

    def listen_and_wait(connection: socket.socket) -> None:
        connection.recv(1000)
        done.wait(10)

    with server(folder, listen_and_wait) as path:
        with Client(path, timeout_s=0.1) as client, pytest.raises(NotReached, match=r"did not answer within 0\.1 s"):
            client.call("system.version")
        done.set()


def test_events_without_end_do_not_prolong_the_wait(folder: Path) -> None:
    stop = threading.Event()

    def chatter(connection: socket.socket) -> None:
        while not stop.wait(0.01):
            connection.sendall(b'{"jsonrpc":"2.0","method":"log","params":{"seq":1}}\n')

    with server(folder, chatter) as path:
        with Client(path, timeout_s=0.2) as client, pytest.raises(NotReached, match="did not answer"):
            client.call("system.version")
        stop.set()


def test_something_else_behind_the_socket(folder: Path) -> None:
    with (
        server(folder, lambda connection: connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")) as path,
        Client(path) as client,
        pytest.raises(NotReached, match=r"does not speak JSON-RPC; is it tonnetzd\?"),
    ):
        client.call("system.version")


def test_where_the_socket_is(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.delenv("TONNETZ_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setattr("tonnetz.rpc.client.SYSTEM_SOCKET", str(folder / "system"))
    own = folder / "tonnetz" / "control.sock"
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert default_path() == str(own)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert default_path() == str(folder / "system")
    own.parent.mkdir()
    own.touch()
    assert default_path() == str(own)
    (folder / "system").touch()
    assert default_path() == str(folder / "system")
    monkeypatch.setenv("TONNETZ_SOCKET", "/elsewhere")
    assert default_path() == "/elsewhere"
