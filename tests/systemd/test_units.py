"""systemd/: the units are right by systemd's own judgement, name what there is, and are written where they belong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tonnetz.daemon.settings import load_settings
from tonnetz.rpc.doors.dbus.interfaces import NAME
from tonnetz.systemd import command
from tonnetz.systemd.units import SYSTEM, USER, CanNotInstall, check_visible, install, text_of

EXPOSURE = 2.0  # systemd-analyze calls up to 4.9 "OK"; most services of a distribution are beyond 9


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder with something in it that can be executed."""
    made = tmp_path / "bin"
    made.mkdir()
    for name in ("tonnetzd", "tonnetz"):
        (made / name).write_text("#!/bin/sh\n")
        (made / name).chmod(0o755)
    return made


@pytest.fixture
def installed(tmp_path: Path, commands: Path) -> Path:
    root = tmp_path / "root"
    assert [written.kept for written in install(commands, root=root)] == [False] * len(SYSTEM)
    return root


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)


def test_every_file_of_the_folder_is_installed(checkout: Path) -> None:
    there = {
        str(path.relative_to(checkout / "systemd")) for path in (checkout / "systemd").rglob("*") if path.is_file()
    }
    assert {name for name in there if not name.endswith((".py", ".pyc"))} == {*SYSTEM, *USER}


def test_systemd_finds_nothing_wrong(installed: Path) -> None:
    units = [str(installed / "etc/systemd/system" / name) for name in ("tonnetz.service", "tonnetz.socket")]
    outcome = analyze("verify", "--man=no", *units)
    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_the_service_is_hardened(installed: Path) -> None:
    outcome = analyze("security", "--offline=true", "--no-pager", str(installed / "etc/systemd/system/tonnetz.service"))
    found = re.search(r"Overall exposure level for tonnetz.service: ([\d.]+)", outcome.stdout)
    assert found is not None, outcome.stderr
    assert float(found[1]) <= EXPOSURE, outcome.stdout


def sections(text: str) -> dict[str, list[tuple[str, str]]]:
    """The settings of a unit; one may be there more than once."""
    found: dict[str, list[tuple[str, str]]] = {}
    here: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith("["):
            here = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            here.append((name, value))
    return found


def test_every_line_of_the_sandbox_is_explained(commands: Path) -> None:
    """A comment stands above each group of lines, or names them."""
    explained = False
    for line in text_of("tonnetz.service", commands).partition("[Service]")[2].splitlines():
        if line.startswith("#"):
            explained = True
        elif not line or line.startswith("["):
            explained = False
        else:
            assert explained or line.startswith(("WantedBy", "Also", "User", "StateDirectory")), line


def test_names_agree(commands: Path) -> None:
    service = sections(text_of("tonnetz.service", commands))
    activation = ConfigParser()
    activation.read_string(text_of("org.tonnetz.Tonnetz1.service", commands))
    assert activation["D-BUS Service"]["Name"] == NAME
    assert dict(service["Install"])["Alias"] == activation["D-BUS Service"]["SystemdService"]
    policy = ET.fromstring(text_of("org.tonnetz.Tonnetz1.conf", commands))
    own = {(one.get("user"), allow.get("own")) for one in policy for allow in one.findall("allow") if allow.get("own")}
    assert own == {("tonnetz", NAME), ("root", NAME)}
    assert dict(service["Service"])["User"] == "tonnetz"
    socket = dict(sections(text_of("tonnetz.socket", commands))["Socket"])
    assert (socket["SocketUser"], socket["SocketGroup"]) == ("tonnetz", dict(service["Service"])["Group"])
    assert socket["ListenStream"] in dict(service["Service"])["ExecReload"]


@pytest.mark.parametrize(("name", "place"), [("tonnetz.yaml", SYSTEM), ("user/tonnetz.yaml", USER)])
def test_the_configurations_can_be_read(name: str, place: dict[str, str], tmp_path: Path, commands: Path) -> None:
    (tmp_path / "tonnetz.yaml").write_text(text_of(name, commands))
    settings = load_settings(tmp_path / "tonnetz.yaml")
    assert settings.doors.dbus and settings.doors.dbus.bus == ("system" if place is SYSTEM else "session")


def test_paths_are_those_of_the_installation(installed: Path, commands: Path) -> None:
    unit = (installed / "etc/systemd/system/tonnetz.service").read_text()
    service = dict(sections(unit)["Service"])
    assert service["ExecStart"] == f"{commands}/tonnetzd --config /etc/tonnetz/tonnetz.yaml"
    assert service["ExecReload"].split()[0] == f"{commands}/tonnetz"
    assert "/usr/bin" not in unit


def test_a_configuration_is_kept(installed: Path, commands: Path) -> None:
    configuration = installed / "etc/tonnetz/tonnetz.yaml"
    configuration.write_text("autostart: false\n")
    (installed / "etc/systemd/system/tonnetz.service").write_text("old")
    kept = {written.path.name: written.kept for written in install(commands, root=installed)}
    assert kept.pop("tonnetz.yaml") and not any(kept.values())
    assert configuration.read_text() == "autostart: false\n"
    assert (installed / "etc/systemd/system/tonnetz.service").read_text() != "old"


def test_a_users_own(tmp_path: Path, commands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/home/ada/.conf")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    paths = {str(written.path.relative_to(tmp_path)) for written in install(commands, user=True, root=tmp_path)}
    assert "home/ada/.conf/systemd/user/tonnetz.service" in paths and "home/ada/.conf/tonnetz/tonnetz.yaml" in paths
    assert "home/ada/.local/share/dbus-1/services/org.tonnetz.Tonnetz1.service" in paths
    units = [str(tmp_path / "home/ada/.conf/systemd/user" / name) for name in ("tonnetz.service", "tonnetz.socket")]
    outcome = analyze("verify", "--user", "--man=no", *units)
    assert not [line for line in outcome.stderr.splitlines() if "tonnetz" in line], outcome.stderr


def test_what_lies_in_a_home_is_no_systems_service() -> None:
    with pytest.raises(CanNotInstall, match="lies in a home"):
        check_visible(Path("/home/ada/.venv/bin"))


@pytest.mark.parametrize("words", [["--print-unit"], ["install-units", "--print-unit"]])
def test_the_unit_is_printed(words: list[str]) -> None:
    daemon = [sys.executable, "-m", "tonnetz.daemon.main", *words]
    printed = subprocess.run(daemon, capture_output=True, text=True, timeout=60, check=True).stdout
    assert f"ExecStart={Path(sys.executable).parent}/tonnetzd --config" in printed


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(print_unit=False, user=True, root=tmp_path) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(USER) and all(Path(line).exists() for line in shown)
    (tmp_path / "file").write_text("")
    assert command.run(print_unit=False, user=True, root=tmp_path / "file") == 1
    assert "can't be written: Not a directory" in capsys.readouterr().err
