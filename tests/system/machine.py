"""Runs a program in the guest, under QEMU without hardware support, and brings back what it left.

Time in the guest is counted in instructions, a nanosecond each: it sees a machine of 1 GHz with one processor that nobody
disturbs, however busy the host is, and a sleeping guest's time jumps to its next timer. So what is late in there is late
by its own fault, and waiting costs nothing.
"""

from __future__ import annotations

import subprocess
import tarfile
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .image import SIZE_MB, image

MEMORY_MB = 1024
RESULTS_MB = 128
LIMIT_S = 1500.0  # of the host's time, on a machine that others use too
KERNEL = (
    "root=/dev/pmem0 console=ttyS0 panic=-1 quiet loglevel=4 systemd.show_status=false mitigations=off audit=0 "
    "random.trust_cpu=on no_timer_check tsc=reliable"
)


class Outcome(NamedTuple):
    """What the program printed, its exit status (None: it never ended), and the folder with what it left."""

    printed: str
    status: int | None
    folder: Path
    wall_s: float


def run_in_guest(program: Path, files: Sequence[Path], into: Path) -> Outcome:
    """`program` is run by the guest's Python, in a folder with the files; in $OUT it leaves what is to be brought back."""
    disk = image()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tonnetz-guest-") as scratch:
        work = Path(scratch)
        with tarfile.open(work / "given.img", "w") as given:
            given.add(program, "main")
            for file in files:
                given.add(file, file.name)
        grow(work / "given.img", 1)
        (work / "results.img").touch()
        subprocess.run(["truncate", "-s", f"{RESULTS_MB}M", work / "results.img"], check=True)
        with (into / "printed").open("wb") as printed, (into / "qemu.log").open("wb") as log:
            command = ["nice", "-n", "4", *qemu(disk, work, into / "console")]
            machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed, stderr=log)
            try:
                machine.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                pass
            finally:
                machine.kill()
                machine.wait()
        status = unpack(work / "results.img", into)
    return Outcome((into / "printed").read_text(errors="replace"), status, into, time.monotonic() - began)


def qemu(disk: Path, work: Path, console: Path) -> list[str]:
    root = f"memory-backend-file,id=root,share=off,mem-path={disk}/disk.img,size={SIZE_MB}M"
    memory = f"{MEMORY_MB},slots=2,maxmem={MEMORY_MB + SIZE_MB + 1024}M"
    given = f"if=none,id=given,file={work}/given.img,format=raw,read-only=on"
    results = f"if=none,id=results,file={work}/results.img,format=raw,cache=unsafe"
    return [
        *("qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-monitor", "none"),
        *("-M", "q35,nvdimm=on", "-m", memory, "-smp", "1", "-cpu", "max,la57=off"),
        *(
            "-accel",
            "tcg,thread=single,tb-size=512",
            "-icount",
            "shift=0,sleep=off,align=off",
            "-rtc",
            "base=utc,clock=vm",
        ),
        # The root is memory, mapped privately: reading it takes no time in the guest, and no run changes it.
        *("-object", root, "-device", "nvdimm,id=nv0,memdev=root"),
        *("-kernel", f"{disk}/vmlinuz", "-initrd", f"{disk}/initrd.img", "-append", KERNEL),
        *("-drive", given, "-device", "virtio-blk-pci,drive=given"),
        *("-drive", results, "-device", "virtio-blk-pci,drive=results"),
        *("-serial", f"file:{console}", "-serial", "stdio"),
    ]


def grow(path: Path, megabytes: int) -> None:
    """Up to a whole number of megabytes, as disks have whole sectors."""
    subprocess.run(["truncate", "-s", f"%{megabytes}M", path], check=True)


def unpack(results: Path, into: Path) -> int | None:
    try:
        with tarfile.open(results) as brought:
            brought.extractall(into)
        return int((into / "status").read_text())
    except (tarfile.TarError, OSError, ValueError):
        return None
