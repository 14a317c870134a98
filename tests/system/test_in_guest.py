"""Tonnetz as a service of a real system: a Debian guest with systemd, D-Bus and a sound card, booted for it.

Opt-in, as it takes root, a minute to make the guest's disk once, and some minutes of one processor: `./dev test --system`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from .in_guest import CHECKS
from .machine import LIMIT_S, run_in_guest

if os.environ.get("TONNETZ_SYSTEM_TESTS") != "1":
    pytest.skip("only with ./dev test --system", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(LIMIT_S + 600)]

WHEEL = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def results(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What each check found, by its name."""
    into = tmp_path_factory.mktemp("guest")
    built = subprocess.run(
        [sys.executable, "-c", WHEEL, into], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[-3000:]
    outcome = run_in_guest(Path(__file__).with_name("in_guest.py"), [into / built.stdout.split()[-1]], into)
    report = into / "results.json"
    assert report.exists(), f"the guest brought no results ({outcome.wall_s:.0f} s):\n{outcome.printed[-5000:]}"
    print(f"guest done after {outcome.wall_s:.0f} s; what it left is in {into}")  # noqa: T201
    found: Mapping[str, Any] = json.loads(report.read_text())
    return found


@pytest.mark.parametrize("name", [check.__name__ for check in CHECKS])
def test_as_a_service(results: Mapping[str, Any], name: str) -> None:
    assert name in results, "it was not reached"
    result = results[name]
    print(result["said"], f"{result['guest_s']} s of the guest")  # noqa: T201
    assert not result["error"], result["error"]
