"""The commands that look into the graph, and `tonnetz token`: what they print, and that it can be read by programs."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import soundfile

TONNETZ = Path(sys.executable).with_name("tonnetz")


def run(daemon: Any, *arguments: str, ok: int = 0) -> bytes:
    command = [TONNETZ, "--socket", daemon.socket, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, cwd=daemon.folder)
    assert done.returncode == ok, done.stderr
    return done.stdout if ok == 0 else done.stderr


def step(daemon: Any, blocks: int) -> None:
    with daemon.client() as client:
        client.call("runtime.step", blocks=blocks)


def test_top_names_the_costliest_first(daemon: Any) -> None:
    step(daemon, 64)
    lines = run(daemon, "top", "--count", "1").decode().splitlines()
    assert lines[0] == "running, 48000 Hz, blocks of 256, clock step" and "late blocks" in lines[1]
    assert lines[3].split() == ["NODE", "TYPE", "WAIT", "µs", "BUSY", "µs", "MAX", "µs", "LOAD", "%", "FAULTS"]
    rows = [line.split() for line in lines[4:]]
    assert {row[0] for row in rows} == {"hum", "eq", "mix", "drain"}
    busy = [float(row[3]) for row in rows]
    assert busy == sorted(busy, reverse=True)
    assert set(json.loads(run(daemon, "--json", "top", "--count", "1"))["nodes"]) == {"hum", "eq", "mix", "drain"}


def test_meter_draws_bars(daemon: Any) -> None:
    with daemon.client() as client:
        client.call("runtime.meters")
        client.call("runtime.step", blocks=64)
    lines = run(daemon, "meter", "hum", "--count", "1", "--every", "0.05").decode().splitlines()
    assert [line.split()[-1] for line in lines] == ["-20.0", "-20.0"] and lines[0].startswith("hum  1  ====")
    assert b"no node 'humm'" in run(daemon, "meter", "humm", "--count", "1", ok=1)


@pytest.mark.parametrize(
    ("peak", "rms", "drawn"), [(-30.0, -45.0, "=" * 10 + "-" * 10), (0.0, None, "-" * 40), (None, None, "")]
)
def test_bars(peak: float | None, rms: float | None, drawn: str) -> None:
    from tonnetz.rpc.doors.command_line.meter import bar

    assert bar(peak, rms) == drawn.ljust(40) + ("!" if peak == 0 else "|")


def test_buffer_shows_samples_and_writes_files(daemon: Any) -> None:
    run(daemon, "buffer", "hum.out", "--seconds", "0.001")
    step(daemon, 20)
    text = run(daemon, "buffer", "hum.out", "--seconds", "0.0005").decode()
    assert text.startswith("hum.out: 24 frames from frame ") and "48000 Hz" in text
    assert len(text.splitlines()) == 6 + 24
    summary = run(daemon, "buffer", "hum.out", "--seconds", "0.05").decode().splitlines()
    assert len(summary) == 5 and summary[3].split()[:3] == ["1", "-20.00", "dBFS"]
    sound, rate = soundfile.read(io.BytesIO(run(daemon, "buffer", "hum.out", "--seconds", "0.05", "--format", "wav")))
    assert (rate, sound.shape) == (48000, (2400, 2))
    assert json.loads(run(daemon, "--json", "buffer", "hum.out", "--format", "npy"))["kind"] == "blob"
    assert b"no port 'outt'" in run(daemon, "buffer", "hum.outt", ok=1)


def test_top_tells_where_and_why_sound_was_lost(daemon: Any) -> None:
    from tonnetz.rpc.doors.command_line.top import performance_text

    with daemon.client() as client:
        performance = client.call("runtime.performance")
    time = "2026-05-04T12:00:00.000000Z"
    performance["incidents"] = [
        {"frame": 1, "time": time, "kind": "gap", "cause": "Held up.", "node": None},
        {"frame": 2, "time": time, "kind": "xrun", "cause": "hw:0 ran dry.", "node": "out"},
    ]
    assert performance_text(performance, {}).splitlines()[-2:] == [
        f"{time}  xrun at out: hw:0 ran dry.",
        f"{time}  gap: Held up.",
    ]


def test_inject_and_trace(daemon: Any) -> None:
    played = json.loads(run(daemon, "--json", "inject", "eq", "noise", "--duration-s", "0.01", "--level-db", "-40"))
    assert played["port"] == "eq.in" and played["frames"] == 480
    assert run(daemon, "trace", "eq", "2").decode().splitlines()[-1] == "No more blocks came."


def test_trace_as_text() -> None:
    from tonnetz.rpc.doors.command_line.sound_text import trace_text

    block = {"frame": 256, "at_us": 5333.0, "busy_us": 3.14, "in_peak_db": None, "out_peak_db": -6.02, "faults": 0}
    told = {"node": "eq", "type": "equalizer", "blocks": [block], "complete": True}
    told["changes"] = [{"event": "parameter_changed", "param": "gain_db", "value": 3.0}]
    assert trace_text(told).splitlines()[2:] == [
        "  frame  at ms  busy µs  in       out",
        "  256    5.33   3.1      silence  -6.0",
        "",
        "  event=parameter_changed param=gain_db value=3",
    ]


def test_tokens(daemon: Any, tmp_path: Path) -> None:
    config = tmp_path / "tonnetz.yaml"
    config.write_text("storage: {directory: state}\n")
    options = ["--config", str(config)]
    assert run(daemon, "token", "list", *options) == b"There are none.\n"
    secret, _, note = run(daemon, "token", "add", "desk", "--role", "viewer", *options).decode().partition("\n\n")
    assert secret.startswith("tnz_") and "viewer" in note
    assert run(daemon, "token", "list", *options).decode().splitlines()[1].split()[:2] == ["desk", "viewer"]
    assert secret not in (tmp_path / "state" / "tokens.json").read_text()
    run(daemon, "token", "revoke", "desk", *options)
    assert b"There is no token" in run(daemon, "token", "revoke", "desk", *options, ok=1)
    assert b"is no name for a token" in run(daemon, "token", "add", "a b", *options, ok=1)
    for wrong in (["token"], ["token", "add"], ["token", "list", "x"], ["token", "steal", "x"]):
        run(daemon, *wrong, *options, ok=2)
