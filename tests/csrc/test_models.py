"""The models in `csrc/models`, of how commits and samples cross between threads: SPIN looks at every state that any order of their steps leads to.

With `TONNETZ_TURNS=2` in the environment the engine is started, stopped or stepped twice and not once: six times as many states, in 1 GB.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

MODELS = sorted((Path(__file__).resolve().parents[2] / "csrc" / "models").glob("*.pml"))
TURNS = int(os.environ.get("TONNETZ_TURNS", "1"))
DEEPEST = 100_000  # steps one after the other; the longest way takes some 500
MOST_MB = 3000


def roles(model: Path) -> list[list[str]]:
    """Which sides of it there are to be looked at."""
    if "#ifdef RECORDER" in model.read_text():
        return [[], ["RECORDER"]]
    return [[f"TURNS={TURNS}"]]


def breaks(model: Path) -> list[str]:
    """What can be taken away from it."""
    return sorted(set(re.findall(r"^#ifn?def (BREAK_\w+)", model.read_text(), re.MULTILINE)))


def checked(model: Path, folder: Path, defines: list[str]) -> tuple[int, int]:
    """How many errors there are, the search ending at the first, and how many states it has seen."""
    options = [f"-D{define}" for define in defines]
    subprocess.run(["spin", *options, "-a", model], cwd=folder, check=True)
    # Neither loops nor fairness matter: all that waits is a deadlock.
    limits = ["-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MOST_MB}"]
    subprocess.run(["gcc", "-O1", *limits, "-o", "pan", "pan.c"], cwd=folder, check=True)
    told = subprocess.run(["./pan", f"-m{DEEPEST}"], cwd=folder, check=True, capture_output=True, text=True).stdout
    found = re.search(r"errors: (\d+)\n *(\d+) states, stored", told)
    assert found, told
    errors, states = map(int, found.groups())
    assert "max search depth too small" not in told and ("Search not completed" in told) == (errors > 0), told
    return errors, states


@pytest.mark.parametrize(
    ("model", "role"),
    [pytest.param(model, role, id="-".join([model.stem, *role])) for model in MODELS for role in roles(model)],
)
def test_no_order_of_steps_leads_astray(model: Path, role: list[str], tmp_path: Path) -> None:
    errors, states = checked(model, tmp_path, role)
    assert errors == 0 and states > 10_000


@pytest.mark.parametrize(
    ("model", "taken"),
    [pytest.param(model, taken, id=f"{model.stem}-{taken}") for model in MODELS for taken in breaks(model)],
)
def test_what_is_taken_away_is_missed(model: Path, taken: str, tmp_path: Path) -> None:
    assert any(checked(model, tmp_path, [*role, taken])[0] for role in roles(model))
