"""The disk of the guest: Debian with systemd, D-Bus and virtual sound cards, and the Python packages that Tonnetz needs.

Made with mmdebstrap from the apt sources of this machine, once, into a folder outside the checkout; again when what it
is made of changes. It takes root, a Debian machine for amd64, and a minute or two. The kernel is Debian's own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
HOME = Path(os.environ.get("TONNETZ_GUEST", Path.home() / ".cache" / "tonnetz-guest"))
SIZE_MB = 2048  # of the disk; 900 are used

PACKAGES = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "dbus-user-session",
    "udev",
    "kmod",
    "procps",
    "util-linux",
    "mount",
    "libpam-systemd",
    "polkitd",
    "busybox-static",
    "alsa-utils",
    "python3",
    "python3-venv",
    "libasound2",
]
# Cards 0 and 1, always in this order. Two pairs of a loopback are enough.
MODULES = {
    "modules-load.d/sound.conf": "snd-aloop\nsnd-dummy\n",
    "modprobe.d/sound.conf": "options snd-aloop index=0 id=Loopback pcm_substreams=2\noptions snd-dummy index=1 id=Dummy\n",
}
# What these tests do not need and an emulated processor is slow at.
MASKED = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "serial-getty@ttyS0.service",
    "systemd-timesyncd.service",
    "systemd-pstore.service",
    "remote-fs.target",
    "alsa-restore.service",
    "alsa-state.service",
    "systemd-random-seed.service",
    "systemd-update-utmp-runlevel.service",
]
# The parts of the kernel's modules that a machine without hardware can use.
SUBSYSTEMS = ("arch", "block", "crypto", "fs", "lib", "mm", "net", "sound", "virt")
DRIVERS = ("acpi", "base", "block", "char", "dax", "input", "nvdimm", "virtio")
BOOT_MODULES = ("virtio_pci", "virtio_blk", "nfit", "nd_pmem", "ext4")  # before there is a disk to load them from


def image() -> Path:
    """The folder with disk.img, vmlinuz and initrd.img, made if need be."""
    HOME.mkdir(parents=True, exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, wanted = HOME / "stamp", fingerprint()
        if not stamp.exists() or stamp.read_text() != wanted:
            stamp.unlink(missing_ok=True)
            with tempfile.TemporaryDirectory(dir=HOME) as work:
                build(Path(work))
            stamp.write_text(wanted)
    return HOME


def requirements() -> list[str]:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    dependencies: list[str] = project["dependencies"]
    return dependencies


def fingerprint() -> str:
    """Of all that the image is made of."""
    sources = [path.read_bytes() for path in (Path(__file__), *sorted((HERE / "guest").iterdir())) if path.is_file()]
    return hashlib.sha256(b"".join(sources) + repr((requirements(), sys.version)).encode()).hexdigest()


def run(*command: str | Path, cwd: Path | None = None) -> str:
    outcome = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{outcome.stdout[-2000:]}{outcome.stderr[-3000:]}")
    return outcome.stdout


def build(work: Path) -> None:
    root = work / "root"
    bootstrap(root, work)
    version = kernel(root, work)
    settings(root)
    python_packages(root, work)
    first_disk(root, version, work)
    run("truncate", "-s", f"{SIZE_MB}M", work / "disk.img")
    # Without a journal and checksums: every run begins with a fresh copy, and ends without looking back.
    run(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-F",
        "-m",
        "0",
        "-O",
        "^metadata_csum,^has_journal",
        "-d",
        root,
        work / "disk.img",
    )
    for name in ("disk.img", "vmlinuz", "initrd.img"):
        (work / name).replace(HOME / name)


def sources() -> str:
    """This machine's apt sources, as far as they are Debian's own, for the release that it runs."""
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    name = release["VERSION_CODENAME"].strip('"')
    form = "deb $(REPO_URI) $(CODENAME) $(COMPONENT)"
    listed = run("apt-get", "indextargets", "--format", form, "Created-By: Packages", "Origin: Debian")
    lines = {line for line in listed.splitlines() if line.split()[2].partition("-")[0] == name}
    if not lines:
        raise RuntimeError(f"apt knows no source of Debian {name} here; the guest is made from this machine's sources")
    return "\n".join(sorted(lines)) + "\n"


def bootstrap(root: Path, work: Path) -> None:
    (work / "sources.list").write_text(sources())
    fetching = re.findall(r"^(Acquire::(?:http|https|Retries|Check-).*)$", run("apt-config", "dump"), re.MULTILINE)
    (work / "apt.conf").write_text("".join(f"{line}\n" for line in fetching if '""' not in line))
    left_out = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "locale", "doc", "info")]
    options = ["--quiet", "--variant=apt", "--mode=root", "--format=directory", f"--include={','.join(PACKAGES)}"]
    with (work / "sources.list").open() as listed:
        command = ["mmdebstrap", *options, f"--aptopt={work / 'apt.conf'}", "--dpkgopt=force-unsafe-io", *left_out]
        release = (work / "sources.list").read_text().split()[2].partition("-")[0]
        outcome = subprocess.run(
            [*command, release, root, "-"], stdin=listed, capture_output=True, text=True, check=False
        )
    if outcome.returncode:
        raise RuntimeError(f"mmdebstrap failed:\n{outcome.stderr[-3000:]}")


def kernel(root: Path, work: Path) -> str:
    """Unpacks Debian's kernel, with the modules that are of use; its version."""
    package = re.search(r"Depends: (linux-image-\d\S*)", run("apt-cache", "depends", "linux-image-amd64"))
    assert package is not None, "linux-image-amd64 stands for a kernel"
    (work / "kernel").mkdir()
    run("apt-get", "download", package[1], cwd=work / "kernel")
    run("dpkg", "-x", next((work / "kernel").glob("*.deb")), work / "unpacked")
    version = package[1].removeprefix("linux-image-")
    shutil.copy(work / "unpacked" / "boot" / f"vmlinuz-{version}", work / "vmlinuz")
    source, target = (folder / "lib/modules" / version for folder in (work / "unpacked", root / "usr"))
    for name in (*SUBSYSTEMS, *(f"drivers/{name}" for name in DRIVERS)):
        if (source / "kernel" / name).is_dir():
            shutil.copytree(source / "kernel" / name, target / "kernel" / name)
    for path in source.glob("modules.*"):
        shutil.copy(path, target)
    run("depmod", "-b", root / "usr", version)
    return version


def settings(root: Path) -> None:
    etc = root / "etc"
    for name, text in MODULES.items():
        (etc / name).parent.mkdir(exist_ok=True)
        (etc / name).write_text(text)
    (etc / "fstab").write_text("/dev/root / ext4 defaults,noatime 0 0\n")
    (etc / "hostname").write_text("guest\n")
    (etc / "machine-id").write_text("a" * 32 + "\n")
    (etc / "resolv.conf").write_text("")
    (etc / "systemd/journald.conf.d").mkdir()
    (etc / "systemd/journald.conf.d/guest.conf").write_text("[Journal]\nStorage=volatile\nRateLimitBurst=0\n")
    # What starts slowly is not at fault: the processor is emulated.
    (etc / "systemd/system.conf.d").mkdir()
    (etc / "systemd/system.conf.d/guest.conf").write_text("[Manager]\nDefaultTimeoutStartSec=300\n")
    units = etc / "systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    shutil.copy(HERE / "guest" / "run.service", units / "run.service")
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    (units / "multi-user.target.wants" / "run.service").symlink_to("../run.service")
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    (root / "opt/guest").mkdir()
    shutil.copy(HERE / "guest" / "run", root / "opt/guest/run")


def python_packages(root: Path, work: Path) -> None:
    """What Tonnetz needs, in the environment that it will be installed into: emulated, that would take minutes."""
    wheels = root / "var" / "wheels"
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels, *requirements(), cwd=work)
    run("chroot", root, "python3", "-m", "venv", "/opt/tonnetz")
    names = [f"/var/wheels/{path.name}" for path in sorted(wheels.glob("*.whl"))]
    run("chroot", root, "/opt/tonnetz/bin/pip", "install", "--quiet", "--no-index", "--no-deps", *names)
    run("chroot", root, "/opt/tonnetz/bin/python", "-m", "compileall", "-q", "/opt/tonnetz/lib", "/usr/lib/python3")
    shutil.rmtree(wheels)
    shutil.rmtree(root / "var/cache/apt", ignore_errors=True)
    shutil.rmtree(root / "var/lib/apt/lists", ignore_errors=True)


def first_disk(root: Path, version: str, work: Path) -> None:
    """The initial RAM disk: busybox, the modules that lead to the real disk, and guest/init."""
    first = work / "initrd"
    for name in ("bin", "dev", "proc", "sys", "new", "mod"):
        (first / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", first / "bin/busybox")
    for number, path in enumerate(needed_modules(root, version)):
        shutil.copy(path, first / "mod" / f"{number:02}-{Path(path).name}")
    shutil.copy(HERE / "guest" / "init", first / "init")
    (first / "init").chmod(0o755)
    listed = subprocess.run(["find", ".", "-print0"], cwd=first, capture_output=True, check=True).stdout
    with (work / "initrd.img").open("wb") as made:
        command = ["cpio", "--quiet", "--null", "-o", "-H", "newc", "-R", "0:0"]
        subprocess.run(command, cwd=first, input=listed, stdout=made, check=True)


def needed_modules(root: Path, version: str) -> Iterator[str]:
    """In the order in which they have to be loaded."""
    seen = set()
    for module in BOOT_MODULES:
        for line in run("modprobe", "-d", root, "-S", version, "--show-depends", module).splitlines():
            kind, path = line.split()[:2]
            if kind == "insmod" and path not in seen:
                seen.add(path)
                yield path
