"""Every scenario of tests/scenarios, played in three ways (scenarios/performance.py): what is to be heard is heard, stopping
after every block changes no bit of it, and neither does undoing and redoing every transaction on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from .scenarios.expectations import check
from .scenarios.performance import differences, play
from .scenarios.scenario import FOLDER, load

FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_scenario(file: Path, tmp_path: Path) -> None:
    scenario = load(file)
    straight = await play(scenario, tmp_path / "straight")
    check(straight)

    block_wise = await play(scenario, tmp_path / "block_wise", "block_wise")
    assert differences(straight, block_wise) == [], "stepping block by block sounds different"

    undone = await play(scenario, tmp_path / "undone", "undone")
    found = differences(straight, undone)
    if scenario.undone_differs:
        assert found, f"it says '{scenario.undone_differs}', but undone and redone it sounds the same: leave that out"
    else:
        assert found == [], "undone and redone it sounds different"


def test_there_are_scenarios() -> None:
    assert len(FILES) >= 15
