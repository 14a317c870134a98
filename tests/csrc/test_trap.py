"""The audio thread neither allocates, locks, sleeps nor asks the kernel for anything but to ring the bell: other tests, run
once more on a core whose audio side is watched by csrc/tests/trap.c. Step clock, freewheel and internal clock; all node
types, edits, fades, transfers, players and recorders, NaN, meters and timing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from .trapped import OCCASIONS, SINS

pytestmark = pytest.mark.slow  # compiles the core

ROOT = Path(__file__).resolve().parents[2]
WATCHED_TESTS = [
    "tests/test_every_node_type.py",
    "tests/test_scenarios.py",
    "tests/proofs/test_untouched_branches.py::test_so_it_is_while_an_audio_thread_runs",
    "tests/endpoints/test_sound_card.py::test_pause_and_stop",
    "tests/endpoints/test_sound_card.py::test_clocks_that_wait_wait_for_the_card",
]


class Trapped:
    """A core between the jaws of a trap."""

    def __init__(self, folder: Path, recipe: ModuleType) -> None:
        self.core, self.trap = folder / "_core.abi3.so", folder / "trap.so"
        self._flags = [*recipe.compile_flags("debug"), "-g0", "-fPIC", "-Icsrc", f"-I{sysconfig.get_path('include')}"]
        self._folder = folder
        glue = folder / "_core.c"
        builder = recipe.FFI()
        builder.cdef(recipe.declarations())
        builder.set_source("tonnetz._core", '#include "tonnetz_core.h"')
        builder.emit_c_code(str(glue))
        sources = [*recipe.c_sources(), recipe.CSRC / "tests" / "trap_core.c", glue]
        with ThreadPoolExecutor(os.cpu_count()) as compilers:
            objects = list(compilers.map(self._compiled, sources))
        wrapped = ["-Wl,--wrap=tz_block_cycle", "-Wl,--wrap=tz_adopt_waiting"]
        self._gcc(*objects, *recipe.link_flags("debug"), *wrapped, "-shared", "-o", self.core)
        trap = recipe.CSRC / "tests" / "trap.c"
        self._gcc(*self._flags, "-ftls-model=initial-exec", "-shared", trap, "-ldl", "-o", self.trap)

    def _compiled(self, source: Path) -> Path:
        target = self._folder / f"{source.stem}.o"
        self._gcc(*self._flags, "-c", source, "-o", target)
        return target

    def _gcc(self, *arguments: str | Path) -> None:
        subprocess.run(["gcc", *arguments], check=True, cwd=ROOT)

    def run(self, *what: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "LD_PRELOAD"))}
        command = [sys.executable, Path(__file__).with_name("trapped.py"), self.core, *what]
        environment = {**clean, "LD_PRELOAD": str(self.trap)}
        return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory, core_recipe: ModuleType) -> Trapped:
    if "-fsanitize" in core_recipe.PROFILE_FLAGS[core_recipe.chosen_profile()]:
        pytest.skip("a sanitizer defines the same functions")
    return Trapped(tmp_path_factory.mktemp("trapped"), core_recipe)


def test_nothing_is_caught(trapped: Trapped) -> None:
    result = trapped.run(*WATCHED_TESTS)
    assert result.returncode == 0, result.stdout + result.stderr
    times = re.search(r"watched: (\d+) times", result.stdout)
    assert times is not None and int(times[1]) > 10_000, result.stdout


def test_whoever_sins_is_caught(trapped: Trapped) -> None:
    """The negative control: every forbidden deed, on every occasion that a node type has."""
    result = trapped.run("sins")
    assert result.returncode == 0, result.stdout + result.stderr
    *outcomes, watched = result.stdout.splitlines()
    for sin in SINS:
        if sin == "system call" and watched.endswith("False"):  # a kernel that cannot tell: the functions are watched
            continue
        for occasion in OCCASIONS:
            caught = f"70 caught on the audio thread: {sin}"
            begin = f"{sin}, {occasion}: {'0' if sin == 'none' else caught}"
            assert any(outcome.startswith(begin) for outcome in outcomes), result.stdout
