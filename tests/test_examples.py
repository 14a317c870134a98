"""Every example does what it says: the graphs are rendered, the edits and clients meet a running demo."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
EXAMPLES = CHECKOUT / "examples"
COMMANDS = Path(sys.executable).parent
GRAPHS = sorted(path for path in EXAMPLES.glob("*.yaml") if "nodes" in yaml.safe_load(path.read_text()))
START_S = 30.0


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's sound."""
    path = tmp_path_factory.mktemp("sound") / "loop.wav"
    made = run(sys.executable, EXAMPLES / "demo" / "make_sound.py", path, cwd=CHECKOUT)
    assert made.returncode == 0, made.stderr
    return path


def test_the_demos_sound_loops_without_a_seam(loop: Path) -> None:
    sound, rate = soundfile.read(loop)
    assert (rate, sound.shape) == (48000, (384_000, 2))
    assert 0.5 < np.abs(sound).max() < 0.75
    steps = np.abs(np.diff(sound, axis=0)).max(axis=0)
    assert (np.abs(sound[0] - sound[-1]) < steps).all()
    loudness = np.sqrt(np.mean(sound.reshape(6, -1) ** 2, axis=1))  # one value for each of the six triads
    assert loudness.max() < 1.2 * loudness.min()


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda path: path.stem)
def test_graphs_can_be_rendered(graph: Path, loop: Path, tmp_path: Path) -> None:
    shutil.copy(graph, tmp_path)
    shutil.copy(loop, tmp_path)
    outcome = run(COMMANDS / "tonnetz", "render", graph.name, "--seconds", "0.5", cwd=tmp_path)
    assert outcome.returncode == 0, outcome.stderr
    (made,) = [path for path in tmp_path.iterdir() if path.name not in (graph.name, loop.name)]
    sound, _ = soundfile.read(made)
    assert 24_000 <= len(sound) < 24_000 + 256, "half a second, rounded up to whole blocks"
    assert 0.01 < np.abs(sound).max() <= 1.0


# ---- The demo --------------------------------------------------------------------------------------------------------


class Demo:
    """A demo that runs in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = str(folder / ".demo" / "control.sock")
        self.output = folder / "output.txt"
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, EXAMPLES / "demo" / "run.py"],
                cwd=folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TONNETZ_DEMO_PORT": "0"},
            )
        deadline = time.monotonic() + START_S
        while "Ctrl-C ends it" not in self.text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.end()
                pytest.fail(self.text())
            time.sleep(0.05)

    @property
    def url(self) -> str:
        return re.findall(r"In a browser: (http://\S+)/", self.text())[0]

    def text(self) -> str:
        return self.output.read_text()

    def tonnetz(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(COMMANDS / "tonnetz", *arguments, cwd=CHECKOUT, TONNETZ_SOCKET=self.socket)

    def end(self, how: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(timeout=30)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo
    assert demo.end() == 0, demo.text()


def test_the_demo_plays_and_records(demo: Demo) -> None:
    assert demo.tonnetz("status").returncode == 0
    recording = next((demo.folder / ".demo" / "recordings").iterdir())
    earlier = recording.stat().st_size
    deadline = time.monotonic() + START_S
    while recording.stat().st_size <= earlier:
        assert time.monotonic() < deadline, demo.text()
        time.sleep(0.05)


def test_the_commands_that_the_demo_suggests_work(demo: Demo) -> None:
    """Taken from what it prints; `watch` would go on for ever, so it is given an end."""
    suggested = [line.strip() for line in demo.text().splitlines() if line.strip().startswith("./dev tonnetz ")]
    words = [line.partition("   ")[0].split()[2:] for line in suggested]
    assert len(words) == 3
    for arguments in words:
        if arguments == ["watch"]:
            assert demo.tonnetz("watch", "--help").returncode == 0
            continue
        outcome = demo.tonnetz(*arguments)
        assert outcome.returncode == 0, outcome.stderr


def test_edits_apply_once(demo: Demo) -> None:
    edits = str(EXAMPLES / "05_edits.yaml")
    outcome = demo.tonnetz("apply", edits, "--fade-ms", "200")
    assert outcome.returncode == 0, outcome.stderr
    again = demo.tonnetz("apply", edits)
    assert again.returncode == 1
    assert "voice" in again.stderr


CLIENTS = sorted(path for path in EXAMPLES.glob("1*") if path.suffix in (".py", ".sh", ".js"))


@pytest.mark.parametrize("client", CLIENTS, ids=lambda path: path.stem)
def test_clients_run(client: Path, demo: Demo) -> None:
    """Those in Python by the interpreter of the tests, others by what there is of sh, node and websocat."""
    by = {".py": [sys.executable], ".sh": ["sh", "-e"], ".js": ["node", "--experimental-websocket", "--no-warnings"]}
    path = f"{COMMANDS}:{os.environ['PATH']}"
    needed = "websocat" if "websocat" in client.stem else by[client.suffix][0]
    if not shutil.which(needed, path=path):
        pytest.skip(f"there is no {needed} on this machine")
    where = demo.socket if "socket" in client.stem or "11_" in client.stem else demo.url
    outcome = run(*by[client.suffix], client, where, cwd=demo.folder, TONNETZ_SOCKET=demo.socket, PATH=path)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "frame" in outcome.stdout


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_ends_with_a_complete_file(how: signal.Signals, tmp_path: Path) -> None:
    demo = Demo(tmp_path)
    time.sleep(0.5)
    assert demo.end(how) == 0, demo.text()
    (recording,) = (tmp_path / ".demo" / "recordings").iterdir()
    sound, rate = soundfile.read(recording)
    assert np.abs(sound).max() > 0.01
    assert demo.text().splitlines()[-1].startswith(f".demo/recordings/{recording.name}: {len(sound) / rate:.1f} s, ")
    assert not Path(demo.socket).exists()


def test_every_example_is_tried() -> None:
    tried = {path.name for path in GRAPHS} | {"05_edits.yaml"} | {path.name for path in CLIENTS}
    assert {path.name for path in EXAMPLES.iterdir() if path.suffix in (".yaml", ".py", ".sh", ".js")} == tried
