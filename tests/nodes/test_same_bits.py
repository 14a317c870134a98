"""However the core is compiled, for whatever processor: the same sound, bit for bit.

csrc/tests/test_node_types.c tries all node types and tells a sum over everything it heard.
"""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.slow  # it compiles the node types five times

BUILDS = {
    "release": ["-O3"],  # the loader chooses among the versions of each kernel
    "plain": ["-O3", "-DTZ_NO_CLONES"],
    "hardly optimised": ["-O1", "-DTZ_NO_CLONES"],
    "x86-64-v3": ["-O3", "-DTZ_NO_CLONES", "-march=x86-64-v3"],
    "x86-64-v4": ["-O3", "-DTZ_NO_CLONES", "-march=x86-64-v4"],
}


def can_run(build: str) -> bool:
    if not build.startswith("x86"):
        return True
    if platform.machine() != "x86_64":
        return False
    needed = {"x86-64-v3": {"avx2", "fma", "bmi2"}, "x86-64-v4": {"avx512vl", "avx512dq"}}
    flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    return needed[build] <= set(flags.split())


def sum_of_sound(options: list[str], folder: Path, recipe: ModuleType) -> str:
    """What the program tells when it and the node types are compiled so: a sum, or what it found wrong."""
    csrc = recipe.CSRC
    program = folder / "program"
    flags = [flag for flag in recipe.compile_flags("release") if flag not in {"-O3", "-DNDEBUG"}]
    sources = [
        csrc / "tests" / "test_node_types.c",
        *(path for path in sorted(csrc.glob("nodes/*.c")) if not path.stem.startswith("ring_")),
    ]
    subprocess.run(["gcc", *flags, *options, *sources, "-lm", "-o", program], check=True)
    run = subprocess.run([program], check=False, capture_output=True, text=True)
    return run.stdout.split()[-1] if run.returncode == 0 else run.stderr


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, core_recipe: ModuleType) -> str:
    return sum_of_sound(BUILDS["plain"], tmp_path_factory.mktemp("plain"), core_recipe)


@pytest.mark.parametrize("build", [build for build in BUILDS if build != "plain"])
def test_the_same_bits(build: str, reference: str, tmp_path: Path, core_recipe: ModuleType) -> None:
    if not can_run(build):
        pytest.skip(f"this processor is no {build}")
    assert sum_of_sound(BUILDS[build], tmp_path, core_recipe) == reference


def test_contracted_multiply_adds_would_be_noticed(reference: str, tmp_path: Path, core_recipe: ModuleType) -> None:
    """Compilers contract if they are let (outside ISO C mode), some loops and not others: not even cuts are then without effect."""
    if not can_run("x86-64-v3"):
        pytest.skip("this processor has no fused multiply-add")
    contracted = [*BUILDS["x86-64-v3"], "-ffp-contract=fast"]
    assert sum_of_sound(contracted, tmp_path, core_recipe) != reference
