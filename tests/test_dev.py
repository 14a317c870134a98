"""`./dev`, the first thing that a new developer types. That it sets up a bare machine is tried on one, and by CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_names_every_command(checkout: Path) -> None:
    script = (checkout / "dev").read_text()
    commands = set(re.findall(r"^\t(\w+)\)$", script, re.MULTILINE)) | {"tonnetz"}
    text = run(checkout / "dev", "help").stdout
    assert commands >= {"run", "test", "check", "build", "shell"}
    assert {name for name in commands if f"./dev {name} " not in text} == set()


def test_an_unknown_command_is_an_error(checkout: Path) -> None:
    outcome = run(checkout / "dev", "frobnicate")
    assert outcome.returncode == 2
    assert "there is no command 'frobnicate'" in outcome.stderr and "./dev test" in outcome.stderr


def test_ci_runs_the_readmes_test_command(checkout: Path) -> None:
    assert (checkout / ".ci" / "run").read_text().splitlines()[-1] == 'exec "$(dirname "$0")/../dev" test'
    assert "`./dev test` runs the tests" in (checkout / "README.md").read_text()


@pytest.fixture
def bare_machine(checkout: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A checkout with nothing set up, and a folder of commands for PATH in which no compiler and no sudo is."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("sh", "dirname", "mkdir", "flock", "cat", "date", "tail", "sed", "env", "test"):
        found = shutil.which(name)
        assert found is not None
        (commands / name).symlink_to(found)
    clone = tmp_path / "clone"
    clone.mkdir()
    shutil.copy(checkout / "dev", clone)
    return clone, commands


def pretend(commands: Path, name: str, script: str) -> None:
    (commands / name).write_text(f"#!/bin/sh\n{script}\n")
    (commands / name).chmod(0o755)


def test_without_root_it_says_what_to_run(bare_machine: tuple[Path, Path]) -> None:
    clone, commands = bare_machine
    pretend(commands, "id", "echo 1000")
    pretend(commands, "apt-get", "exit 1")
    outcome = run(clone / "dev", "build", PATH=str(commands))
    assert outcome.returncode == 1
    assert "gcc: compiles the core" in outcome.stdout
    assert "apt-get update && apt-get install -y --no-install-recommends gcc" in outcome.stderr


def test_without_apt_it_names_what_is_missing(bare_machine: tuple[Path, Path]) -> None:
    clone, commands = bare_machine
    pretend(commands, "id", "echo 0")
    outcome = run(clone / "dev", "test", PATH=str(commands))
    assert outcome.returncode == 1
    assert "gcc: compiles the core" in outcome.stdout
    assert "no apt-get" in outcome.stderr


def test_a_failing_apt_shows_what_it_said(bare_machine: tuple[Path, Path]) -> None:
    clone, commands = bare_machine
    pretend(commands, "id", "echo 0")
    pretend(commands, "apt-get", '[ "$1" = update ] || { echo "E: no network today"; exit 100; }')
    outcome = run(clone / "dev", "build", PATH=str(commands))
    assert outcome.returncode == 1
    assert "E: no network today" in outcome.stdout
    assert "This was: apt-get install gcc" in outcome.stderr.replace("  ", " ")
