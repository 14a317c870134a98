"""Keeps what the daemon has touched in memory, where that is allowed: the audio thread is never to wait for a page that
was swapped out, or thrown away to be read from the disk again.

Only where there is no limit: with one, whatever the daemon allocates beyond it would fail, and an unlocked daemon is
better than one without memory. Pages that nobody has touched yet are not fetched, or every thread would cost its whole
stack. But the core's own are: else a node type's code would come from the disk when its first node plays.
"""

from __future__ import annotations

import ctypes
import logging
import resource
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT = 1, 2, 4  # <sys/mman.h>
CORE = "/tonnetz/_core."
PROCESS = Path("/proc/self")


def memory_locked() -> bool:
    """Whether this process has its memory locked, as the kernel tells it."""
    try:
        status = (PROCESS / "status").read_text()
    except OSError:
        return False
    return any(line.startswith("VmLck:") and line.split()[1] != "0" for line in status.splitlines())


def lock_memory() -> bool:
    """Locks all that this process has in memory and ever will have; whether that is allowed. Never raises."""
    try:
        libc = ctypes.CDLL(None)
        if not _lock_all(libc):
            return False
        for begin, end in _core_pages():
            libc.mlock(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin))
    except (OSError, ValueError, AttributeError) as error:  # no such call, a limit that can't be set, no /proc
        log.debug("locking memory: %s", error)
    return memory_locked()


def _lock_all(libc: ctypes.CDLL) -> bool:
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    limited = soft != resource.RLIM_INFINITY
    if limited:  # with a limit of 0 the kernel agrees only if limits do not hold for us (CAP_IPC_LOCK)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, hard))
    try:
        return bool(libc.mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
    finally:
        if limited:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))


def _core_pages() -> Iterator[tuple[int, int]]:
    """Where the compiled core lies: begin and end of each piece."""
    for line in (PROCESS / "maps").read_text().splitlines():
        if CORE in line:
            begin, _, end = line.split()[0].partition("-")
            yield int(begin, 16), int(end, 16)
