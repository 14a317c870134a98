"""`tonnetzd` as a process, with its files in a folder: it plays a file through equalizer, compressor and mixer into files."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from tonnetz.rpc.client import Client, NotReached

RATE = 48000
PATIENCE_S = 30.0  # far beyond what anything here takes, however busy the machine


def configuration(**sections: Any) -> dict[str, Any]:
    """A looping sine through everything into two files."""
    nodes = [
        {"id": "player", "type": "file_player", "config": {"path": "loop.wav", "loop": True}},
        {"id": "eq", "type": "equalizer", "config": {"bands": [{"type": "high_pass", "frequency": 40}]}},
        {"id": "squeeze", "type": "compressor", "config": {"threshold_db": -12, "ratio": 3}},
        {"id": "mix", "type": "mixer", "config": {"inputs": [{}, {}]}},
        {"id": "wav", "type": "file_writer", "config": {"path": "take.wav", "subtype": "float"}},
        {"id": "flac", "type": "file_writer", "config": {"path": "take.flac", "format": "flac"}},
    ]
    wires = ["player.out eq.in", "eq.out squeeze.in", "squeeze.out mix.in_1", "mix.out wav.in", "mix.out flac.in"]
    connections = [{"source": wire.split()[0], "target": wire.split()[1]} for wire in wires]
    return {
        "engine": {"sample_rate": RATE, "block_frames": 256, "clock": "internal", "realtime_priority": 0},
        "doors": {"socket": {"path": "control.sock", "mode": "0600"}, "http": False, "dbus": False},
        "storage": {"directory": "state"},
        "media": {"play_roots": ["sounds"], "record_root": "recordings"},
        "graph": {"version": 1, "nodes": nodes, "connections": connections},
        **sections,
    }


class Daemon:
    """One `tonnetzd` with its files in a folder. `under`: the command that starts it, if another has to."""

    under: tuple[str, ...] = ()

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.clients: list[Client] = []
        (folder / "sounds").mkdir()
        time_s = np.arange(RATE) / RATE
        soundfile.write(folder / "sounds" / "loop.wav", 0.5 * np.cos(2 * np.pi * 100 * time_s), RATE)

    def run(self, settings: dict[str, Any], *options: str) -> subprocess.Popen[bytes]:
        file = self.folder / "tonnetz.yaml"
        file.write_text(yaml.safe_dump(settings))
        command = [*self.under, sys.executable, "-m", "tonnetz.daemon.main", "--config", str(file), *options]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, stdout=pipe, stderr=pipe)

    def start(self, **sections: Any) -> Client:
        self.process = self.run(configuration(**sections))
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                return self.client()
            except NotReached:
                time.sleep(0.02)
        raise AssertionError(f"tonnetzd did not start: {self.end(signal.SIGKILL)}")

    def client(self) -> Client:
        self.clients.append(Client(str(self.folder / "control.sock"), PATIENCE_S))
        return self.clients[-1]

    def end(self, number: int) -> tuple[int, str]:
        """Sends a signal; the exit status, and what was said."""
        assert self.process is not None
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said.decode()

    def close(self) -> None:
        """Ends what is left of it."""
        for client in self.clients:
            client.close()
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)

    def recordings(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "recordings").iterdir())


def until_frame(client: Client, frame: int) -> int:
    """Waits until the engine has come so far; how far it is."""
    end = time.monotonic() + PATIENCE_S
    while (now := client.call("runtime.status")["frame"]) < frame:
        assert time.monotonic() < end, f"the engine is at {now} only"
        time.sleep(0.02)
    return int(now)
