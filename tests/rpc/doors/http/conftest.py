"""A daemon with an HTTP door, and ways to talk to it."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ...conftest import CONFIGURATION, Daemon

HTTP = 'http: {listen: "127.0.0.1:0"}'


@dataclass(frozen=True)
class Answer:
    """What came back to curl."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """The HTTP door of a running daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        end = time.monotonic() + 30
        while not (found := re.search(r"listening on (http://[^/\s]+)/", daemon.log.read_text())):
            assert daemon.process.poll() is None and time.monotonic() < end, daemon.log.read_text()
            time.sleep(0.02)
        self.base = found[1]

    def curl(self, verb: str, path: str, body: Any = None, *options: str) -> Answer:
        """`curl -X VERB`, with the body as JSON if there is one."""
        command = ["curl", "-sS", "-i", "--max-time", "30", "-X", verb, *options, self.base + path]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        done = subprocess.run(command, input=sent if body is not None else b"", capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        while re.match(rb"HTTP/1.1 1\d\d ", head):
            head, _, rest = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(first.split()[1]), headers, rest)

    @contextlib.contextmanager
    def curl_stream(self, verb: str, path: str, *options: str) -> Iterator[Stream]:
        """`curl -N`, as long as the block is: what comes has no end."""
        command = ["curl", "-sS", "-i", "-N", "--max-time", "60", "-X", verb, *options, self.base + path]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            try:
                yield Stream(process)
            finally:
                process.kill()


class Stream:
    """What comes to a curl that goes on."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self._output = process.stdout
        self.head = self.until(b"\r\n\r\n").decode()
        self.status = int(self.head.split()[1])

    def until(self, end: bytes) -> bytes:
        """All up to these bytes."""
        found = bytearray()
        while not found.endswith(end):
            byte = self._output.read(1)
            assert byte, bytes(found)
            found += byte
        return bytes(found)


def stuck_reader(web: Web, path: str, text: str = "") -> socket.socket:
    """A WebSocket client with next to no room, that may say something, and reads nothing."""
    place = urlsplit(web.base)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((place.hostname, place.port))
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert connection.recv(12) == b"HTTP/1.1 101"
    if text:  # a frame with its length in two bytes, and a mask that changes nothing
        connection.sendall(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text.encode())
    return connection


def running(configuration: str) -> Iterator[Web]:
    """A daemon as long as it is iterated; it has to end well."""
    folder = Path(tempfile.mkdtemp(prefix="tn-"))
    daemon = Daemon(folder, configuration.replace("FOLDER", str(folder)))
    try:
        yield Web(daemon)
    finally:
        status = daemon.stop()
        log = daemon.log.read_text()
        shutil.rmtree(folder)
    assert status == 0, log
    assert "Traceback" not in log, log


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """One daemon on the step clock for all tests of a file; its first nodes are hum, eq, mix and drain."""
    yield from running(CONFIGURATION.replace("http: false", HTTP))


@pytest.fixture(scope="module")
def live() -> Iterator[Web]:
    """One that plays by the timer."""
    live = CONFIGURATION.replace("http: false", HTTP).replace("clock: step", "clock: internal")
    yield from running(live)
