"""Which cards are there, told when that changes. By looking at /dev/snd alone: no card is asked anything, and nothing
can hang.

On the event loop, in the daemon itself: the kernel tells through inotify, and one short look at a folder follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)

IN_MOVE, IN_CREATE, IN_DELETE = 0xC0, 0x100, 0x200  # sys/inotify.h
IN_NONBLOCK, IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
SETTLE_S = 0.5  # udev makes a card's files one by one and sets their rights afterwards
UNKNOWN = "?"

Cards = Mapping[int, str]  # ids by index


class CardFolder:
    """Calls `on_change(appeared, vanished)` whenever cards have come or gone, half a second after."""

    def __init__(
        self,
        on_change: Callable[[Cards, Cards], None],
        folder: Path = Path("/dev/snd"),
        about: Path = Path("/proc/asound"),
    ) -> None:
        self._on_change = on_change
        self._folder = folder
        self._about = about
        self._bell = -1
        self._timer: asyncio.TimerHandle | None = None
        self._known: Cards = {}

    def open(self) -> None:
        """Begins to watch, for what comes after now. Where the kernel has no watch left, nothing is ever told."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._bell = libc.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        if self._bell < 0:
            log.warning("cards that come and go are not told of: %s", os.strerror(ctypes.get_errno()))
            return
        self._watch()
        self._known = self.cards()
        asyncio.get_running_loop().add_reader(self._bell, self._ring)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._bell >= 0:
            asyncio.get_running_loop().remove_reader(self._bell)
            os.close(self._bell)
            self._bell = -1

    def _watch(self) -> None:
        """The folder, and where it will be made when the first card comes. To watch one again changes nothing."""
        for folder in (self._folder, self._folder.parent):
            ctypes.CDLL(None).inotify_add_watch(self._bell, os.fsencode(folder), IN_CREATE | IN_DELETE | IN_MOVE)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell, 65536)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SETTLE_S, self._look)

    def _look(self) -> None:
        self._timer = None
        self._watch()
        before, now = self._known, self.cards()
        self._known = now
        appeared = {index: id for index, id in now.items() if index not in before}
        vanished = {index: id for index, id in before.items() if index not in now}
        if appeared or vanished:
            self._on_change(appeared, vanished)

    def cards(self) -> Cards:
        """Those there are now."""
        try:
            names = os.listdir(self._folder)
        except OSError:
            return {}
        indices = sorted(int(found[1]) for name in names if (found := re.fullmatch(r"controlC(\d+)", name)))
        return {index: self._id(index) for index in indices}

    def _id(self, index: int) -> str:
        try:
            return (self._about / f"card{index}" / "id").read_text().strip()
        except OSError:
            return UNKNOWN
