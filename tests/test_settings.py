"""daemon/settings.py: what is wrong with a configuration is said before the daemon begins, all of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.settings import Settings, http_address, parse_settings

CONTRACT = """\
engine: {sample_rate: 48000, block_frames: 256, clock: auto, realtime_priority: 70}
doors:
  socket: {path: /run/tonnetz/control.sock, mode: "0660", group: audio}
  http: {listen: "127.0.0.1:8420", allowed_hosts: [], require_token: auto}
  dbus: {bus: system}
storage: {directory: /var/lib/tonnetz, durability: crash}
media: {play_roots: [/srv/audio], record_root: /var/lib/tonnetz/recordings}
graph: {}
autostart: true
"""


def check(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    """`tonnetzd --check` of a file."""
    path.write_text(text)
    command = [sys.executable, "-m", "tonnetz.daemon.main", "--config", str(path), "--check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_configuration_of_the_contract(tmp_path: Path) -> None:
    done = check(tmp_path / "tonnetz.yaml", CONTRACT)
    assert (done.returncode, done.stderr) == (0, "")


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Contract, configuration: unknown keys are errors with a suggestion; so is what does not fit, beside them."""
    done = check(tmp_path / "tonnetz.yaml", "engine: {sample_rat: 44100, block_frames: 3}\ndoors: {http: true}\n")
    assert done.returncode == 2
    assert [line.strip().removeprefix("tonnetzd: ") for line in done.stderr.splitlines()] == [
        "engine.sample_rat: There is no setting 'sample_rat' in engine. Did you mean 'sample_rate'? (and 2 more)",
        "engine.block_frames: Expected int >= 16, not 3.",
        "doors.http: A section is a mapping (listen, allowed_hosts, require_token, tokens), not true.",
    ]


def parsed(data: Any) -> Settings:
    """As a daemon reads them at its start."""
    settings = parse_settings(data)
    if settings.doors.http:
        http_address(settings.doors.http.listen)
    return settings


@pytest.mark.parametrize(
    ("data", "where", "words"),
    [
        ({"engine": None}, "engine", "A section is a mapping (sample_rate, "),
        ({"engine": {"clock": "The card"}}, "engine.clock", "'The card' is no clock (auto, internal, "),
        ({"doors": {"socket": {"mode": 0o660}}}, "doors.socket.mode", '432 is no mode (octal digits in quotes, as "0'),
        ({"doors": {"dbus": {"bus": "sesion"}}}, "doors.dbus.bus", "'sesion' is no bus (system, session, or "),
        ({"doors": {"http": {"listen": "here"}}}, "doors.http.listen", "'here' is no address to listen on"),
        ({"doors": {"http": {"tokens": [{"name": "desk"}]}}}, "doors.http.tokens[0]", "'credential' must be given."),
        ({"doors": {"http": {"tokens": [{"nme": "x"}]}}}, "doors.http.tokens[0].nme", "There is no setting 'nme' in"),
        ({"storage": {"durability": False}}, "storage.durability", "'false' is no choice here. Known: crash, full."),
        ({"media": {"play_roots": "/srv"}}, "media.play_roots", "Expected array, not the text '/srv'."),
        ({"autostart": "maybe"}, "autostart", "Expected bool, not the text 'maybe'."),
        ([], "", "The configuration is a mapping (engine, doors, "),
    ],
)
def test_what_does_not_fit(data: Any, where: str, words: str) -> None:
    with pytest.raises(Refusal) as refused:
        parsed(data)
    (problem,) = refused.value.problems
    assert problem.where == where and problem.message.startswith(words)


@pytest.mark.parametrize("bus", ["system", "session", "unix:path=/run/bus", "tcp:host=localhost,port=1234"])
def test_a_bus_has_a_name_or_an_address(bus: str) -> None:
    dbus = parsed({"doors": {"dbus": {"bus": bus}}}).doors.dbus
    assert dbus and dbus.bus == bus


def test_doors_can_be_shut() -> None:
    doors = parse_settings({"doors": {"http": False, "dbus": False}}).doors
    assert doors.http is False and doors.dbus is False and doors.socket == Settings().doors.socket
