"""What people install: one wheel for all Pythons from 3.11 on, and a source distribution that it can be built from."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tonnetz.systemd.units import SYSTEM, USER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"


def build(kind: str, source: Path, into: Path) -> Path:
    """Asks the build backend for a wheel or sdist of `source`, with what is installed here."""
    into.mkdir(exist_ok=True)
    run = subprocess.run(
        [sys.executable, "-c", BUILD.format(kind=kind), into], cwd=source, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    return into / run.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from a copy, because a build writes beside its sources."""
    folder = tmp_path_factory.mktemp("sdist")
    leave = shutil.ignore_patterns(".*", "build", "*.so", "*.egg-info", "__pycache__")
    shutil.copytree(checkout, folder / "checkout", symlinks=True, ignore=leave)
    return build("sdist", folder / "checkout", folder / "made")


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the sdist, so that the sdist is known to be complete."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["tar", "-xf", sdist, "-C", folder], check=True)
    return build("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder / "made")


def python_files(checkout: Path) -> set[str]:
    """As they are named in a wheel."""
    sources = [path for name in ("daemon", "rpc", "systemd") for path in (checkout / name).rglob("*.py")]
    return {f"tonnetz/{path.relative_to(checkout)}" for path in sources}


def test_the_sdist_holds_everything_once(checkout: Path, sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = [member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()]
    assert len(names) == len(set(names))
    assert not [
        name for name in names if name.startswith(("csrc/tonnetz/daemon", "csrc/tonnetz/rpc", "csrc/tonnetz/systemd"))
    ]
    wanted = {name.removeprefix("tonnetz/") for name in python_files(checkout)}
    wanted |= {str(path.relative_to(checkout)) for path in (checkout / "csrc").rglob("*.[ch]")}
    wanted |= {"LICENSE", "README.md", "setup.py", "dev", "csrc/build_core.py", "tests/test_packaging.py"}
    assert wanted - set(names) == set()


def test_the_wheel_serves_every_python_from_3_11(checkout: Path, wheel: Path) -> None:
    assert "-cp311-abi3-linux_" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    assert "tonnetz/_core.abi3.so" in names and "tonnetz/py.typed" in names
    assert {f"tonnetz/systemd/{name}" for name in (*SYSTEM, *USER)} <= set(names)
    assert {name for name in names if name.endswith(".py")} == python_files(checkout) | {"tonnetz/__init__.py"}


def test_the_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """Unpacked into an empty folder and started from elsewhere, it uses its own modules and its own core."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    program = (
        "import tonnetz, tonnetz.daemon.main, tonnetz.rpc.doors.command_line as command_line\n"
        "from tonnetz._core import ffi, lib\n"
        "print(tonnetz.__file__, tonnetz.daemon.main.__file__, command_line.__file__, ffi.string(lib.tz_build()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd="/",
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    *files, profile = run.stdout.split()
    assert [Path(file).is_relative_to(tmp_path) for file in files] == [True, True, True]
    assert profile == "b'release'"
