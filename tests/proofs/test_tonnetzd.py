"""The daemon as a process: it is edited over its socket while it plays and records, and however it ends, what it recorded
is there."""

from __future__ import annotations

import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
import yaml

from tonnetz.daemon.main import main

from .tonnetzd import PATIENCE_S, RATE, Daemon, configuration, until_frame


def sizes(path: Path) -> tuple[int, int]:
    """What a WAV file's header says: its whole size in bytes, and that of its samples."""
    head = path.read_bytes()[:4096]
    assert (head[:4], head[8:12]) == (b"RIFF", b"WAVE")
    at = 12
    while head[at : at + 4] != b"data":
        at += 8 + struct.unpack_from("<I", head, at + 4)[0]
    return struct.unpack_from("<I", head, 4)[0] + 8, struct.unpack_from("<I", head, at + 4)[0]


def frames_in(path: Path) -> int:
    """How many frames can be decoded, whatever the header says."""
    with av.open(str(path)) as file:
        return sum(frame.samples for frame in file.decode(audio=0))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_edited_while_it_plays_and_told_to_stop_it_completes_its_files(daemon: Daemon, number: int) -> None:
    client = daemon.start()
    until_frame(client, RATE // 2)
    off = client.call(
        "graph.configure_node", id="mix", config={"gain_db": -120, "inputs": {0: {"mute": True}}}, fade_ms=0
    )
    until_frame(client, off["frame"] + RATE // 4)
    edits = [
        {"configure_node": {"id": "mix", "config": {"gain_db": -6, "inputs": {0: {"mute": False}}}}},
        {"add_node": {"id": "tone", "type": "tone", "config": {"frequency": 3000}}},
        {"connect": {"source": "tone.out", "target": "mix.in_2"}},
        {"configure_node": {"id": "eq", "config": {"bands": [{"type": "peaking", "gain_db": 6}] * 3}}},
    ]
    on = client.call("graph.apply", edits=edits, fade_ms=0)
    last = until_frame(client, on["frame"] + RATE // 2)
    events = daemon.client().events()
    client.call("graph.disconnect", id="tone.out:mix.in_2")
    assert next(events)["method"] == "connection_removed"

    status, said = daemon.end(number)

    assert status == 0, said
    assert "ready" in said and "files are being finished" in said
    assert "Traceback" not in said and "ERROR" not in said
    assert [event["method"] for event in events][:1] == ["transaction_applied"], "listeners hear the rest, then the end"
    assert not (daemon.folder / "control.sock").exists()
    assert daemon.recordings() == ["take.flac", "take.wav"]
    path = daemon.folder / "recordings" / "take.wav"
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert sizes(path) == (path.stat().st_size, samples.size * 4)
    assert rate == RATE and samples.shape[1] == 2
    assert last <= len(samples) <= last + 10 * RATE
    sounding = samples.any(axis=1)
    begin = int(sounding.argmax())  # the engine does not wait for the player to open its file
    quiet = np.flatnonzero(~sounding[begin:last]) + begin
    assert quiet.tolist() == list(range(off["frame"], on["frame"])), "silent exactly from receipt to receipt"
    assert not sounding[-64:].any(), "and at the end, to which it fades"
    also, _ = soundfile.read(path.with_suffix(".flac"), dtype="float32", always_2d=True)
    np.testing.assert_allclose(also, samples, atol=2**-23)


def test_killed_it_leaves_files_that_lack_a_second_at_most(daemon: Daemon) -> None:
    client = daemon.start()
    at_least = until_frame(client, 2 * RATE)
    daemon.end(signal.SIGKILL)

    path = daemon.folder / "recordings" / "take.wav"
    whole, data = sizes(path)
    assert whole <= path.stat().st_size
    samples, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert data == samples.size * 4
    assert len(samples) >= at_least - RATE
    assert np.abs(samples).max() > 0.3
    assert frames_in(path.with_suffix(".flac")) >= at_least - 2 * RATE

    client = daemon.start()  # the dead one's socket is taken over, its recordings are kept
    until_frame(client, 1)
    assert daemon.end(signal.SIGTERM)[0] == 0
    assert daemon.recordings() == ["take.flac", "take.wav", "take_2.flac", "take_2.wav"]
    np.testing.assert_array_equal(soundfile.read(path, dtype="float32", always_2d=True)[0], samples)


def test_a_second_daemon_on_the_same_socket_or_folder_is_refused_and_disturbs_nobody(daemon: Daemon) -> None:
    client = daemon.start()
    for storage, words in (
        ({"directory": "other"}, ["another daemon answers at", "doors.socket.path"]),
        ({"directory": "state"}, ["another daemon stores its graph in", "storage.directory"]),
    ):
        second = daemon.run(configuration(storage=storage))
        _, said = second.communicate(timeout=PATIENCE_S)
        assert second.returncode == 1
        assert [word for word in words if word.encode() not in said] == []
        assert b"Traceback" not in said
    until_frame(client, client.call("runtime.status")["frame"] + 1024)
    status, said_by_first = daemon.end(signal.SIGTERM)
    assert (status, daemon.recordings()) == (0, ["take.flac", "take.wav"]), said_by_first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_told_to_stop_while_it_starts_it_stops(daemon: Daemon, number: int) -> None:
    daemon.process = daemon.run(configuration())
    recordings = daemon.folder / "recordings"
    end = time.monotonic() + PATIENCE_S
    while not (daemon.folder / "control.sock").exists() and not recordings.exists() and time.monotonic() < end:
        pass  # as soon as there is anything to be seen of it
    status, said = daemon.end(number)
    assert status == 0, said
    assert "Traceback" not in said
    assert not (daemon.folder / "control.sock").exists()


# ---- --check -------------------------------------------------------------------------------------------------------


def checked(daemon: Daemon, settings: dict[str, Any]) -> tuple[int, str, str]:
    """Exit status, and what was said where."""
    process = daemon.run(settings, "--check")
    out, err = process.communicate(timeout=PATIENCE_S)
    left = {path.name for path in daemon.folder.iterdir()} - {"sounds", "tonnetz.yaml"}
    assert not left, f"--check has made {left}"
    return process.returncode, out.decode(), err.decode()


def test_check_tells_whether_a_configuration_is_fine(daemon: Daemon) -> None:
    assert checked(daemon, configuration()) == (0, f"{daemon.folder}/tonnetz.yaml is fine.\n", "")
    status, out, err = checked(daemon, configuration(engine={"sample_rat": 1}))
    assert (status, out) == (2, "")
    assert err.startswith("tonnetzd: engine.sample_rat: ") and "Did you mean 'sample_rate'?" in err


def graph(*nodes: dict[str, Any], wires: tuple[str, ...] = ()) -> dict[str, Any]:
    connections = [{"source": wire.split()[0], "target": wire.split()[1]} for wire in wires]
    return {"graph": {"version": 1, "nodes": list(nodes), "connections": connections}}


# What stands in the file, or in place of its sections; what is said
BAD: dict[str, tuple[dict[str, Any] | str | None, list[str]]] = {
    "no file": (None, ["can't be read: No such file or directory"]),
    "no YAML": ("graph: [", ["is not valid YAML"]),
    "no mapping": ("- 1", ["The configuration is a mapping (engine, doors,", "not a list"]),
    "section": ({"engin": {}}, ["engin", "Did you mean 'engine'?"]),
    "key": ({"engine": {"sample_rat": 1}}, ["engine.sample_rat", "Did you mean 'sample_rate'?"]),
    "value": ({"engine": {"block_frames": 3}}, ["engine.block_frames", "16"]),
    "two": (
        {"engine": {"blok_frames": 3}, "medai": {}},
        ["engine.blok_frames", "Did you mean 'block_frames'?", "medai", "Did you mean 'media'?"],
    ),
    "type": (graph({"id": "a", "type": "equaliser"}), ["nodes[0].type", "Did you mean 'equalizer'?"]),
    "parameter": (
        graph(
            {"id": "a", "type": "gain", "config": {"gain": 3}}, {"id": "b", "type": "gain", "config": {"ramp_ms": -1}}
        ),
        ["nodes[0].config.gain", "Did you mean 'gain_db'?", "nodes[1].config.ramp_ms"],
    ),
    "port": (
        graph({"id": "a", "type": "tone"}, {"id": "b", "type": "mixer"}, wires=("a.out b.in_11",)),
        ["connections[0].target", "Did you mean 'in_1'?"],
    ),
    "loop": (graph({"id": "a", "type": "gain"}, wires=("a.out a.in",)), ["connections[0]", "a"]),
    "outside": (
        graph({"id": "a", "type": "file_player", "config": {"path": "/etc/passwd"}}),
        ["/etc/passwd", "outside the folders", "media.play_roots"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_check_tells_what_is_wrong_and_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, as starting one takes a second."""
    given, words = BAD[name]
    file = tmp_path / "tonnetz.yaml"
    if given is not None:
        file.write_text(given if isinstance(given, str) else yaml.safe_dump(configuration() | given))
    monkeypatch.setattr(sys, "argv", ["tonnetzd", "--config", str(file), "--check"])
    with pytest.raises(SystemExit, match="2"):
        main()
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tonnetzd: ")
    for word in words:
        assert word in err
