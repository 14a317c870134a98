"""The core's own test programs, `csrc/tests/test_*.c`, under the sanitizers: addresses and undefined behaviour, then threads."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted((ROOT / "csrc" / "tests").glob("test_*.c"))
SANITIZERS = {"addresses": ["asan", "-fsanitize=undefined", "-fno-sanitize-recover=all"], "threads": ["tsan"]}


class Sabotage(NamedTuple):
    """Something of the core that keeps threads apart, and what is left when it is taken away."""

    file: str
    was: str
    becomes: str


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory):
    """Compiles a program with the core, as `csrc/build_core.py` compiles the core; each object once per profile."""
    spec = importlib.util.spec_from_file_location("build_core", ROOT / "csrc" / "build_core.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    objects: dict[str, list[Path]] = {}

    def flags(sanitizer: str) -> list[str]:
        profile, *more = SANITIZERS[sanitizer]
        return [*recipe.compile_flags(profile), *more]

    def core(sanitizer: str, folder: Path) -> list[Path]:
        made = []
        for source in recipe.c_sources():
            target = folder / f"{sanitizer}-{source.parent.name}-{source.stem}.o"
            subprocess.run(["gcc", *flags(sanitizer), "-c", source, "-o", target], check=True)
            made.append(target)
        return made

    def build(source: Path, sanitizer: str, *, alone: bool = False, sabotage: Sabotage | None = None) -> Path:
        folder = tmp_path_factory.getbasetemp()
        if not alone and sanitizer not in objects:
            objects[sanitizer] = core(sanitizer, folder)
        program = folder / f"{sanitizer}-{source.stem}"
        parts = [] if alone else objects[sanitizer]
        if sabotage:
            parts = sabotaged(sabotage, sanitizer, tmp_path_factory.mktemp("sabotaged"), parts)
        libraries = recipe.link_flags(SANITIZERS[sanitizer][0])
        subprocess.run(["gcc", *flags(sanitizer), source, *parts, *libraries, "-o", program], check=True)
        return program

    def sabotaged(sabotage: Sabotage, sanitizer: str, folder: Path, parts: list[Path]) -> list[Path]:
        """The core's objects, those anew that the sabotage reaches."""
        shutil.copytree(recipe.CSRC, folder / "csrc", ignore=lambda *_: ["tonnetz", "tests"])
        victim = folder / "csrc" / sabotage.file
        text = victim.read_text()
        assert sabotage.was in text
        victim.write_text(text.replace(sabotage.was, sabotage.becomes))
        sources = [folder / "csrc" / source.relative_to(recipe.CSRC) for source in recipe.c_sources()]
        # one rule per source, in the order given; a rule goes on in lines that begin with a blank
        depend = subprocess.run(["gcc", "-MM", *sources], check=True, capture_output=True, text=True).stdout
        made = []
        for source, rule, part in zip(sources, re.split(r"\n(?! )", depend), parts, strict=False):
            if str(victim) in rule.split():
                part = folder / f"{source.stem}.o"
                subprocess.run(["gcc", *flags(sanitizer), "-c", source, "-o", part], check=True)
            made.append(part)
        return made

    return build


def run(program: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TSAN_OPTIONS": "exitcode=66 halt_on_error=1"}
    return subprocess.run([program], capture_output=True, text=True, timeout=100, env=environment, check=False)


def has_threads(source: Path) -> bool:
    return any(word in source.read_text() for word in ("pthread_create", "tz_engine_start"))


CASES = [
    pytest.param(source, sanitizer, id=f"{source.stem}-{sanitizer}")
    for source in PROGRAMS
    for sanitizer in SANITIZERS
    if sanitizer != "threads" or has_threads(source)
]


@pytest.mark.parametrize(("source", "sanitizer"), CASES)
def test_program(built, source: Path, sanitizer: str) -> None:
    result = run(built(source, sanitizer))
    assert result.returncode == 0, result.stderr
    assert "done" in result.stdout


def test_the_thread_sanitizer_sees_a_race(built) -> None:
    """The negative control: were it quiet here too, its silence elsewhere would mean nothing."""
    result = run(built(ROOT / "csrc" / "tests" / "race.c", "threads", alone=True))
    assert result.returncode == 66
    assert "data race" in result.stderr


SABOTAGES = {
    "queues without barriers": Sabotage(
        "queue.h", "pushed + 1, memory_order_seq_cst", "pushed + 1, memory_order_relaxed"
    ),
    "rings without barriers": Sabotage("ring.c", "memory_order_release", "memory_order_relaxed"),
    "blocks run by two threads": Sabotage(
        "engine.c", "int nobody = TZ_NOBODY;", "int nobody = atomic_load(&engine->holder);"
    ),
    "a commit given back too early": Sabotage(
        "block_cycle.c",
        "tz_commit_adopt(commit, &engine->plan, &engine->pacer, engine->frame);",
        "tz_queue_push(&engine->outgoing, commit); tz_commit_adopt(commit, &engine->plan, &engine->pacer, engine->frame); continue;",
    ),
    "nodes that a plan does not hold": Sabotage("plan_build.c", "tz_node_retain(nodes[n])", "nodes[n]"),
}


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_torture_finds_what_keeps_threads_apart_missing(built, sabotage: str) -> None:
    """The negative controls of the torture: each of these is seen while it runs."""
    source = ROOT / "csrc" / "tests" / "test_torture.c"
    result = run(built(source, "threads", sabotage=SABOTAGES[sabotage]))
    assert result.returncode == 66
    assert "WARNING: ThreadSanitizer" in result.stderr


def test_there_are_programs() -> None:
    assert {case.id for case in CASES} >= {"test_ring-threads", "test_engine-threads", "test_engine-addresses"}
