"""`tonnetz render`: a graph becomes a file without a daemon, and one sees how far it is."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from tonnetz.rpc.doors.command_line.program import run
from tonnetz.rpc.doors.command_line.render import Bar

GRAPH = """
version: 1
nodes:
  - {id: hum, type: tone, config: {frequency: 1000, level_db: -6}}
  - {id: rec, type: file_writer, config: {path: hum.wav}}
connections:
  - {source: hum.out, target: rec.in}
"""


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    file = tmp_path / "graph.yaml"
    file.write_text(GRAPH)
    return file


def test_a_file_is_written_beside_the_graph(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", str(graph), "--seconds", "2", "--json"]) == 0
    output, errors = capsys.readouterr()
    result = json.loads(output)
    samples, rate = soundfile.read(graph.parent / "hum.wav")
    assert errors == "" and rate == 48000
    assert len(samples) == result["frames"] >= 2 * 48000
    assert abs(abs(samples[4800:]).max() - 10 ** (-6 / 20)) < 0.01
    assert result["times_real_time"] > 1 and result["nodes"]["rec"]["type"] == "file_writer"


def test_people_get_an_outline(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", str(graph), "--seconds", "0.1"]) == 0
    output = capsys.readouterr().out
    assert "times_real_time" in output and "hum.wav" in output


def test_what_cannot_be_rendered(graph: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph.write_text(GRAPH.replace("tone", "tune"))
    assert run(["render", str(graph), "--seconds", "1"]) == 1
    assert "nodes[0].type: There is no node type 'tune'" in capsys.readouterr().err
    graph.write_text("nodes: [")
    assert run(["render", str(graph), "--seconds", "1"]) == 1
    assert "graph.yaml is neither YAML nor JSON" in capsys.readouterr().err
    graph.write_bytes(b"\xff")
    assert run(["render", str(graph), "--seconds", "1"]) == 2
    assert run(["render", str(graph)]) == 2
    assert run(["render", str(graph), "--seconds", "0"]) == 2
    assert run(["render", "nothing.yaml", "--seconds", "1"]) == 2


def test_the_bar_tells_how_far_how_fast_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("tonnetz.rpc.doors.command_line.render.time.monotonic", lambda: now)
    bar = Bar(60.0, shown=True)
    now = 102.0
    assert bar.text(0.25) == "━" * 8 + "─" * 22 + "  25 %  8 × real time  6 s left"
    assert bar.text(0.0).endswith("0 × real time  0 s left")


def test_a_terminal_sees_the_bar(graph: Path) -> None:
    ours, theirs = pty.openpty()
    program = "from tonnetz.rpc.doors.command_line import main; main()"
    words = [sys.executable, "-c", program, "render", str(graph), "--seconds", "5"]
    subprocess.run(words, stdout=subprocess.DEVNULL, stderr=theirs, check=True)
    os.close(theirs)
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    assert "100 %" in seen and "× real time" in seen
