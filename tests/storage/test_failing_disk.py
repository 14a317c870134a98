"""Every single write of the storage fails once: what was answered is kept, what was refused is not, and it works again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SIZE = 7 * 4  # of the struct in failing_disk.c


@pytest.fixture(scope="module")
def failing_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("library") / "failing_disk.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *flags, HERE / "failing_disk.c", "-o", library, "-ldl"], check=True)
    return library


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder on a disk that is quick to sync, if there is one."""
    made = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize("durability", ["crash", "full"])
def test_whatever_write_fails_the_answers_are_true(failing_disk: Path, memory: Path, durability: str) -> None:
    plan = memory / "plan"
    plan.write_bytes(bytes(SIZE))
    folder = memory / "state"
    environment = os.environ | {
        "LD_PRELOAD": str(failing_disk),
        "FAILING_DISK_PLAN": str(plan),
        "FAILING_DISK_FOLDER": str(folder),
    }
    command = [sys.executable, "-m", "tests.storage.on_a_failing_disk", folder, plan, durability]
    outcome = subprocess.run(
        command, cwd=HERE.parents[1], env=environment, capture_output=True, text=True, check=False, timeout=250
    )
    assert outcome.returncode == 0, outcome.stderr[-6000:]
    assert "Traceback" not in outcome.stderr, outcome.stderr[-6000:]
    tried = json.loads(outcome.stdout)
    beginning, syncs = tried.pop("beginning"), tried.pop("syncs")
    assert len(tried) == 4 and all(count > 30 for count in tried.values()), tried
    assert beginning > 2 and (syncs > 0) == (durability == "full")
