"""A `tonnetzd` of the bench's own, with its files in a folder that goes away, and clients that keep asking."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import yaml

START_S = 120.0  # 10,000 nodes on a busy machine
DEMO = Path(__file__).resolve().parents[2] / "examples" / "demo"


class Asker:
    """One connection; its requests are answered one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        self._writer.write(json.dumps(request).encode() + b"\n")
        answer = json.loads(await self._reader.readline())
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result


class Daemon:
    """A running `tonnetzd`."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.process = folder, process
        self._writers: list[asyncio.StreamWriter] = []

    async def asker(self) -> Asker:
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "control.sock"), limit=1 << 24)
        self._writers.append(writer)
        return Asker(reader, writer)

    def cpu_s(self) -> float:
        """What it has taken so far, in all threads, in user and kernel mode."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers.clear()

    async def kill(self) -> None:
        """Ends it without a word."""
        self.hang_up()
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def end(self) -> None:
        """Tells it to end, and waits until it has."""
        self.hang_up()
        self.process.terminate()
        await asyncio.to_thread(self.process.wait)

    async def start_again(self) -> Asker:
        """Another process on the same files; a connection to it once it plays."""
        self.process = _process(self.folder)
        return await _until_it_answers(self)


@contextlib.asynccontextmanager
async def daemon(settings: dict[str, Any]) -> AsyncIterator[Daemon]:
    """Runs until the block is left; the settings' relative paths are in its folder."""
    made = _begun(settings)
    try:
        await _until_it_answers(made)
        yield made
    finally:
        await made.end()
        shutil.rmtree(made.folder)


def _begun(settings: dict[str, Any]) -> Daemon:
    folder = Path(tempfile.mkdtemp(prefix="tz-bench-"))  # a socket's path must be short
    (folder / "sounds").mkdir()
    if settings["graph"].get("name") == "demo":
        subprocess.run([sys.executable, DEMO / "make_sound.py", folder / "sounds" / "loop.wav"], check=True)
    (folder / "tonnetz.yaml").write_text(yaml.safe_dump(settings))
    return Daemon(folder, _process(folder))


def _process(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tonnetz.daemon.main", "--config", "tonnetz.yaml", "--log-level", "error"]
    return subprocess.Popen(command, cwd=folder)


async def _until_it_answers(made: Daemon) -> Asker:
    end = time.monotonic() + START_S
    while time.monotonic() < end and made.process.poll() is None:
        with contextlib.suppress(OSError):
            asker = await made.asker()
            if (await asker.ask("runtime.status"))["state"] == "running":
                return asker
        await asyncio.sleep(0.05)
    raise SystemExit("tonnetzd did not start; what it said stands above.")


def settings(graph: dict[str, Any]) -> dict[str, Any]:
    """A daemon that plays a graph on the machine's timer, as ready to be edited as one out of the box."""
    return {
        "engine": {"sample_rate": 48000, "block_frames": 256, "clock": "internal"},
        "doors": {"socket": {"path": "control.sock", "mode": "0600"}, "http": False, "dbus": False},
        "storage": {"directory": "state"},
        "media": {"play_roots": ["sounds"], "record_root": "recordings"},
        "graph": graph,
    }


def demo_settings() -> dict[str, Any]:
    """What `./dev run` runs: a player, four processors and a recorder."""
    demo = yaml.safe_load((DEMO / "tonnetz.yaml").read_text())
    return settings(demo["graph"])
