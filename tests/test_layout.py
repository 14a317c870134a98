"""The architecture's rules, held against the sources: who may import whom, what a C file may do, how long a file is."""

from __future__ import annotations

import ast
import configparser
import json
import os
import platform
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from types import ModuleType

import pytest

from tonnetz.daemon.engine.core import build_profile, catalogue_json

CHECKOUT = Path(__file__).resolve().parents[1]
LONGEST_FILE = 420  # lines; a longer one holds two things
PACKAGES = {f"tonnetz.{name}": CHECKOUT / name for name in ("daemon", "rpc", "systemd")}
SOURCES = sorted(path for root in PACKAGES.values() for path in root.rglob("*.py"))
C_SOURCES = sorted(path for folder in ("csrc", "csrc/nodes") for path in (CHECKOUT / folder).glob("*.[ch]"))

# What the doors may know of the daemon: the values that cross them, how they are written, and how it is set up; never
# what it does.
DOORS_MAY_KNOW = {
    f"tonnetz.daemon.{name}"
    for name in (
        "annotations",
        "caller",
        "document_text",
        "event_names",
        "event_types",
        "events",
        "graph.edits",
        "graph.wording",
        "misfits",
        "problems",
        "receipt",
        "settings",
        "tokens",
        "version",
    )
}
# Two commands do without a daemon what it does.
COMMANDS_MAY_KNOW = {
    "tonnetz.rpc.doors.command_line.render": {"tonnetz.daemon.offline"},
    "tonnetz.rpc.doors.command_line.token": {"tonnetz.daemon.options"},
}
# graph/ is pure: the same input gives the same output, with nothing outside touched.
GRAPH_MAY_NOT_USE = {
    "asyncio",
    "io",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "socket",
    "sqlite3",
    "subprocess",
    "threading",
    "time",
}


def module_name(path: Path) -> str:
    """`tonnetz.daemon.graph.model` for daemon/graph/model.py; of a package without `.__init__`."""
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(["tonnetz", *(parts[:-1] if parts[-1] == "__init__" else parts)])


MODULES = {module_name(path): path for path in SOURCES}


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All statements that run: not those that only type checkers read."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield from statements(ast.Module(node.orelse, []))
            continue
        if isinstance(node, ast.stmt):
            yield node
        yield from statements(node)


def imports(path: Path, name: str) -> set[str]:
    """The full names of the modules that a file imports when it runs, wherever in the file."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for statement in statements(ast.parse(path.read_text())):
        if isinstance(statement, ast.Import):
            found.update(alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - statement.level + 1] if statement.level else []
            source = ".".join([*base, *([statement.module] if statement.module else [])])
            for alias in statement.names:
                inner = f"{source}.{alias.name}"
                found.add(inner if inner in MODULES or inner == "tonnetz._core" else source)
    return found


IMPORTS = {name: imports(path, name) for name, path in MODULES.items()}


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def broken(importer: str, allowed: set[str] | None = None, forbidden: set[str] | None = None) -> list[str]:
    """The imports below a package that a rule does not allow; `allowed` speaks of Tonnetz's own modules only."""
    return [
        f"{name} imports {target}"
        for name, targets in IMPORTS.items()
        if within(name, importer)
        for target in sorted(targets)
        if (forbidden is not None and any(within(target, package) for package in forbidden))
        or (
            allowed is not None
            and within(target, "tonnetz")
            and not any(within(target, package) for package in allowed)
        )
    ]


def test_import_rules_see_relative_and_late_imports(tmp_path: Path) -> None:
    example = tmp_path / "example.py"
    example.write_text(
        "from typing import TYPE_CHECKING\n"
        "from ..problems import Problem\n"
        "from . import model\n"
        "if TYPE_CHECKING:\n    import asyncio\nelse:\n    import os.path\n"
        "def late():\n    from tonnetz import _core\n"
    )
    assert imports(example, "tonnetz.daemon.graph.example") == {
        "typing",
        "tonnetz.daemon.problems",
        "tonnetz.daemon.graph.model",
        "os.path",
        "tonnetz._core",
    }


def test_graph_is_pure() -> None:
    assert broken("tonnetz.daemon.graph", allowed={"tonnetz.daemon.graph", "tonnetz.daemon.problems"}) == []
    assert broken("tonnetz.daemon.graph", forbidden=GRAPH_MAY_NOT_USE) == []
    others = {
        target.partition(".")[0]
        for name, targets in IMPORTS.items()
        if within(name, "tonnetz.daemon.graph")
        for target in targets
    }
    assert others - sys.stdlib_module_names <= {"tonnetz", "msgspec"}


def test_only_the_engine_touches_the_core() -> None:
    users = {name for name, targets in IMPORTS.items() if "tonnetz._core" in targets}
    assert users, "somebody must use the core"
    assert [name for name in users if not within(name, "tonnetz.daemon.engine")] == []


def test_threads_live_with_what_they_wait_for() -> None:
    """Files and networks, in endpoints; the database, in storage. Nobody else begins a thread or a process."""
    homes = {"tonnetz.daemon.endpoints", "tonnetz.daemon.storage"}
    begun = broken("tonnetz", forbidden={"threading", "multiprocessing", "subprocess", "concurrent.futures"})
    assert [line for line in begun if not any(within(line.split()[0], home) for home in homes)] == []
    users = broken("tonnetz", forbidden={"sqlite3"})
    assert users, "somebody must use the database"
    assert [line for line in users if not within(line.split()[0], "tonnetz.daemon.storage")] == []


def test_storage_knows_graphs_and_nothing_that_plays() -> None:
    known = {"tonnetz.daemon.storage", "tonnetz.daemon.graph", "tonnetz.daemon.entry", "tonnetz.daemon.problems"}
    assert broken("tonnetz.daemon.storage", allowed=known) == []


def test_endpoints_are_handed_what_they_need() -> None:
    above = {"tonnetz.daemon.engine", "tonnetz.daemon.session", "tonnetz.daemon.main", "tonnetz.rpc"}
    assert broken("tonnetz.daemon.endpoints", forbidden=above) == []
    assert broken("tonnetz.daemon.node_types", forbidden=above) == []


def known_to_doors() -> dict[str, set[str]]:
    """What of the daemon each module of the doors imports, and the method table; beyond what its command may."""
    return {
        name: {target for target in targets if within(target, "tonnetz.daemon")} - COMMANDS_MAY_KNOW.get(name, set())
        for name, targets in IMPORTS.items()
        if within(name, "tonnetz.rpc.doors") or name == "tonnetz.rpc.method_table"
    }


def test_doors_know_the_table_and_not_the_daemon() -> None:
    assert set().union(*known_to_doors().values()) == DOORS_MAY_KNOW, "also what nobody needs any more goes"
    for name, more in COMMANDS_MAY_KNOW.items():
        assert more <= IMPORTS[name]
    assert broken("tonnetz.rpc.doors", allowed={"tonnetz.rpc", "tonnetz.daemon"}) == []
    assert broken("tonnetz.rpc.methods", forbidden={"tonnetz.rpc.doors", "tonnetz.daemon.main"}) == []


@pytest.mark.parametrize("target", ["tonnetz.daemon", "tonnetz.daemon.session", "tonnetz.daemon.offline"])
def test_a_door_that_knows_more_would_be_noticed(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(IMPORTS, "tonnetz.rpc.doors.http.example", {"tonnetz.daemon.problems", target})
    assert set().union(*known_to_doors().values()) - DOORS_MAY_KNOW == {target}


def test_only_main_imports_upward() -> None:
    upward = [
        line
        for line in broken("tonnetz.daemon", forbidden={"tonnetz.rpc"})
        if not line.startswith("tonnetz.daemon.main ")
    ]
    assert upward == []


def test_nobody_imports_daemon_or_rpc_without_tonnetz() -> None:
    places = [*SOURCES, *(CHECKOUT / "tests").rglob("*.py"), *(CHECKOUT / "examples").rglob("*.py")]
    bare = {
        f"{path.relative_to(CHECKOUT)} imports {target}"
        for path in places
        for target in imports(path, "elsewhere.module")
        if target.partition(".")[0] in {"daemon", "rpc", "csrc"}
    }
    assert bare == set()


def distribution(module: str) -> str:
    """What pip calls the package that a module comes from."""
    (name, *_) = packages_distributions().get(module.partition(".")[0], [module])
    return re.sub(r"[-_.]+", "-", name).lower()


def test_what_is_imported_is_asked_for() -> None:
    """A package that is only there by chance is missing on the next machine."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]

    def asked(requirements: list[str]) -> set[str]:
        return {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower() for line in requirements}  # type: ignore[index]

    def used(targets: set[str]) -> set[str]:
        outside = {target for target in targets if target.partition(".")[0] not in sys.stdlib_module_names}
        return {distribution(target) for target in outside} - {"tonnetz"}

    needed = asked(project["dependencies"])
    assert used({target for targets in IMPORTS.values() for target in targets}) - needed == set()
    tests = {target for path in (CHECKOUT / "tests").rglob("*.py") for target in imports(path, "tests.module")}
    ours = {path.stem for path in (CHECKOUT / "tests").rglob("*")} | {"tests"}
    foreign = {target for target in tests if target.partition(".")[0] not in ours}
    assert used(foreign) - needed - asked(project["optional-dependencies"]["dev"]) == set()


def test_packages_are_listed_and_are_folders() -> None:
    settings = configparser.ConfigParser()
    settings.read(CHECKOUT / "setup.cfg")
    listed = settings["options"]["packages"].split()
    folders = {module_name(path.parent / "__init__.py") for path in SOURCES}
    assert sorted(listed) == listed
    assert set(listed) == folders | {"tonnetz"}
    assert [name for name in folders if name not in MODULES] == [], "these folders lack an __init__.py"


def test_the_import_root_links_to_the_folders() -> None:
    for name in ("daemon", "rpc", "systemd"):
        link = CHECKOUT / "csrc" / "tonnetz" / name
        assert link.is_symlink() and link.resolve() == CHECKOUT / name


def test_no_file_has_grown_too_long() -> None:
    places = [*SOURCES, *C_SOURCES, *(CHECKOUT / "csrc").glob("*/*.c"), *(CHECKOUT / "csrc").glob("*.py")]
    lengths = {path.relative_to(CHECKOUT): len(path.read_text().splitlines()) for path in places}
    assert {str(path): lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_every_module_says_why_it_exists() -> None:
    silent = [name for name, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


# ---- C ---------------------------------------------------------------------------------------------------------------


def test_every_c_file_says_where_it_runs() -> None:
    untagged = [
        path.name for path in C_SOURCES if not re.match(r"/\* \[(audio|card|control|both)\] \S", path.read_text())
    ]
    assert untagged == []


def called_outside(source: Path, objects: Path, recipe: ModuleType) -> set[str]:
    """The functions that the compiled file calls and does not define itself."""
    compiled = objects / f"{source.stem}.o"
    flags = [*recipe.compile_flags("release"), "-O1", "-DTZ_NO_CLONES", "-fno-stack-protector", "-U_FORTIFY_SOURCE"]
    subprocess.run(["gcc", *flags, f"-I{CHECKOUT / 'csrc'}", "-c", source, "-o", compiled], check=True)
    listing = subprocess.run(["nm", "--undefined-only", "-P", compiled], check=True, capture_output=True, text=True)
    return {line.split()[0] for line in listing.stdout.splitlines()}


# Mathematics and moving bytes; anything else could allocate, lock, wait or print.
NODE_MAY_CALL = re.compile(
    r"(tz_\w+|mem(cpy|set|move)|strcmp|_GLOBAL_OFFSET_TABLE_"
    r"|(sin|cos|sincos|tan|tanh|atan|atan2|exp|exp2|exp10|expm1|log|log2|log10|log1p|pow|sqrt|cbrt|fabs|floor|ceil|round|lround"
    r"|lrint|rint|nearbyint|trunc|fmod|fmin|fmax|frexp|ldexp|hypot|copysign)f?)"
)


@pytest.mark.parametrize("source", sorted((CHECKOUT / "csrc" / "nodes").glob("*.c")), ids=lambda path: path.stem)
def test_a_node_type_only_calculates(source: Path, tmp_path: Path, core_recipe: ModuleType) -> None:
    assert {
        name for name in called_outside(source, tmp_path, core_recipe) if not NODE_MAY_CALL.fullmatch(name)
    } == set()


AUDIO_SOURCES = [path for path in C_SOURCES if path.suffix == ".c" and path.read_text().startswith("/* [audio]")]
AUDIO_MAY_NOT_CALL = re.compile(
    r"(m|c|re)alloc|aligned_alloc|posix_memalign|free|tz_(free|alloc)\w*|pthread_(mutex|cond|rwlock|join|create)\w*"
    r"|\w*printf\w*|puts|fopen|fwrite|open|read|mmap|munmap|usleep|nanosleep|sem_wait|poll|select"
)


@pytest.mark.parametrize("source", AUDIO_SOURCES, ids=lambda path: path.stem)
def test_the_audio_thread_neither_allocates_nor_waits(source: Path, tmp_path: Path, core_recipe: ModuleType) -> None:
    assert {
        name for name in called_outside(source, tmp_path, core_recipe) if AUDIO_MAY_NOT_CALL.fullmatch(name)
    } == set()


def test_an_allocating_file_would_be_noticed(tmp_path: Path, core_recipe: ModuleType) -> None:
    source = tmp_path / "bad.c"
    source.write_text("#include <stdlib.h>\nvoid *bad(size_t size);\nvoid *bad(size_t size) { return malloc(size); }\n")
    called = called_outside(source, tmp_path, core_recipe)
    assert any(AUDIO_MAY_NOT_CALL.fullmatch(name) for name in called)
    assert not all(NODE_MAY_CALL.fullmatch(name) for name in called)


def test_the_stub_says_what_the_header_says(core_recipe: ModuleType) -> None:
    stub = runpy.run_path(str(CHECKOUT / "csrc" / "stub_core.py"))
    current = (CHECKOUT / "csrc" / "tonnetz" / "_core.pyi").read_text()
    assert stub["stub"]() == current, "run: .venv/bin/python csrc/stub_core.py"
    text = re.sub(r"/\*.*?\*/", "", core_recipe.declarations(), flags=re.DOTALL)
    assert set(re.findall(r"def (tz_\w+)", current)) == set(re.findall(r"\b(tz_\w+)\(", text))


def test_the_linker_gathers_every_node_type() -> None:
    named = {
        name
        for path in (CHECKOUT / "csrc" / "nodes").glob("*.c")
        for name in re.findall(r"^TN_NODE_TYPE\((\w+)\)", path.read_text(), re.MULTILINE)
    }
    assert {entry["type"] for entry in json.loads(catalogue_json())} == named


@pytest.mark.skipif(
    build_profile() != "release" or platform.machine() != "x86_64", reason="there is one version of each"
)
def test_every_node_type_is_there_for_every_level_of_the_processor(core_recipe: ModuleType) -> None:
    told = subprocess.run(
        ["readelf", "-SW", CHECKOUT / "csrc" / "tonnetz" / "_core.abi3.so"], capture_output=True, text=True, check=True
    ).stdout
    sizes = dict(re.findall(r" tz_node_types(\w*) +PROGBITS +\w+ \w+ (\w+)", told))
    assert set(sizes) == {"", *(f"_{level}" for level in core_recipe.LEVELS["x86_64"])}
    assert len(set(sizes.values())) == 1


def test_a_changed_recipe_is_noticed(tmp_path: Path, core_recipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """setuptools compares times of files, so the recipe is a file: written when it changes, and only then."""
    monkeypatch.setattr(core_recipe, "ROOT", tmp_path)
    stamp = core_recipe.recipe_stamp("release")
    os.utime(stamp, (0, 0))
    assert core_recipe.recipe_stamp("release").stat().st_mtime == 0
    assert core_recipe.recipe_stamp("debug").stat().st_mtime > 0


def test_never_fast_math(core_recipe: ModuleType) -> None:
    for profile in core_recipe.PROFILE_FLAGS:
        flags = [*core_recipe.compile_flags(profile), *core_recipe.link_flags(profile)]
        assert not {"-ffast-math", "-Ofast", "-ffinite-math-only"} & set(flags)


def test_the_loaded_core_leaves_arithmetic_as_it_was() -> None:
    """The linker can slip in start-up code that turns denormals into zero for the whole interpreter."""
    program = "import tonnetz._core; print(5e-324 * 1.0 == 5e-324)"
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout == "True\n"


def test_an_unknown_profile_is_refused(core_recipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNETZ_BUILD", "fast")
    with pytest.raises(SystemExit, match="no such profile. Known: release, debug"):
        core_recipe.chosen_profile()
