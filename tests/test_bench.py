"""`./dev bench`: it measures all that it promises, and what it compares makes the same sound. How fast anything is, is not asked
here: a busy machine would answer."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tonnetz.daemon.engine.core import build_profile

from .bench.limit import BLOCK, Floats, Limit, opened
from .bench.workloads import WORKLOADS, Workload

BLOCKS = 48


def bench(checkout: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.bench", *options]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=500, check=False)


@pytest.fixture(scope="session")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Floats, int, int], Limit]:
    return opened(tmp_path_factory.mktemp("bench"))


@pytest.mark.parametrize("work", WORKLOADS, ids=lambda work: work.name)
def test_the_plain_loop_sounds_as_the_core_does(
    work: Workload, loops: Callable[[str, Floats, int, int], Limit]
) -> None:
    chance = np.random.default_rng(3)
    sound = chance.uniform(-0.3, 0.3, (work.channels[0], BLOCKS * BLOCK)).astype(np.float32)
    expected = loops(work.name, work.numbers(), *work.channels).render(sound)
    made = work.render(sound)
    assert made.shape == expected.shape == (work.channels[1], BLOCKS * BLOCK)
    loudest = np.abs(expected).max()
    assert 0.01 < loudest < 2.0
    assert np.abs(made - expected).max() < work.tolerance * loudest
    assert np.abs(made[:, BLOCK:] - expected[:, :-BLOCK]).max() > work.tolerance * loudest  # it would have been heard


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(build_profile() != "release", reason="the bench measures release builds only")
def test_a_quick_run_has_all_rows(checkout: Path) -> None:
    outcome = bench(checkout, "--quick")
    assert outcome.returncode == 0, outcome.stderr
    file = Path(outcome.stdout.strip().rpartition("kept in ")[2])
    results: dict[str, Any] = json.loads(file.read_text())
    file.unlink()

    assert [row["name"] for row in results["processing"]] == ["W1", "W2", "W3", "W4", "W6"]
    for row in results["processing"]:
        figures = [row[key] for key in ("core", "limit", "ratio", "worst_us", "limit_worst_us")]
        assert all(0 < figure < math.inf for figure in figures), row
        assert row["title"] in outcome.stdout
    assert [row["goal"] for row in results["processing"]] == [10, 150, 200, 65, 20]

    assert len(results["edits"]) == 6  # parameters and structure: in the process, and over few and many connections
    for row in results["edits"]:
        assert 0 < row["edits_per_s"] < 1e6 and 0 < row["cpu_ms_per_edit"] < 1e5, row
        assert row["late_blocks"] >= 0 and row["late_blocks_quiet"] >= 0, row
        assert row["name"] in outcome.stdout

    assert [row["nodes"] for row in results["applied"]] == [10, 10, 100, 100, 1000, 1000]
    for row in results["applied"]:
        assert -0.1 < row["p50_ms"] <= row["p99_ms"] < 60_000 and row["requests"] > 0, row
        assert row["name"] in outcome.stdout

    assert [row["nodes"] for row in results["stored"]] == [1000] * 3
    for row in results["stored"]:
        assert 0 < row["seconds"] < 100 and row["name"] in outcome.stdout

    (restarted,) = results["restarted"]
    assert 0 < restarted["seconds"] <= restarted["worst_s"] < 20 and restarted["name"] in outcome.stdout

    assert len(results["clicks"]) > 15
    for row in results["clicks"]:
        assert row["residual_db"] < row["limit_db"] and row["worst"] in outcome.stdout, row
        assert row["met"] or row["reason"], row

    assert [row["kind"] for row in results["watching"]] == ["json", "binary"]
    for row in results["watching"]:
        assert row["frames_per_s"] > 0 and row["percent"] > 0 and row["name"] in outcome.stdout

    assert 0 < results["idle"]["percent"] < 100 * (os.cpu_count() or 1)
    goals = [
        row["met"]
        for rows in ("processing", "edits", "applied", "restarted", "watching", "clicks")
        for row in results[rows]
        if "met" in row
    ]
    assert len(goals) == 5 + 1 + 2 + 1 + 2 + len(results["clicks"])
    said = outcome.stdout.count("  met") + outcome.stdout.count("  missed")
    assert said == len([*goals, results["idle"]["met"]])


@pytest.mark.skipif(build_profile() == "release", reason="this build would be measured")
def test_other_builds_are_not_measured(checkout: Path) -> None:
    outcome = bench(checkout)
    assert outcome.returncode == 1
    assert build_profile() in outcome.stderr and "TONNETZ_BUILD=release ./dev build" in outcome.stderr
