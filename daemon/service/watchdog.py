"""Lets the service manager know that sound is being made, for as long as it is.

The event loop runs this, so a loop that stands still is silent by itself. The audio thread is looked at: while the
engine should run, blocks have to be done between one look and the next. Whoever makes no progress is ended and begun
anew by the service manager, and the log tells what stood still.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from .notify import notify

if TYPE_CHECKING:
    from ..session import Session

log = logging.getLogger(__name__)

LOOKS = 4  # in each period: one that comes late leaves time for others
PATIENT_CLOCKS = ("step", "freewheel")  # which wait for whoever steps them, and for files that may take their time


class Watchdog:
    """Begins with its making; `period_s` is what systemd calls WatchdogSec=."""

    def __init__(self, session: Session, period_s: float) -> None:
        self._session = session
        self._pause_s = period_s / LOOKS
        self._blocks = -1
        self._looks_lost = 0
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_soon(self._look)

    def close(self) -> None:
        self._timer.cancel()

    def _look(self) -> None:
        self._timer = self._loop.call_later(self._pause_s, self._look)
        blocks = self._session.engine.status().blocks
        if blocks != self._blocks or not self._should_run():
            self._blocks, self._looks_lost = blocks, 0
            notify("WATCHDOG=1")
            return
        self._looks_lost += 1
        if self._looks_lost == 1:
            return  # a machine that was held up for a moment
        stood_s = self._looks_lost * self._pause_s
        message = f"The audio thread has stood still for {stood_s:.1f} s, at block {blocks}"
        log.error("%s; the watchdog is not told that all is well", message)
        notify(f"STATUS={message}")

    def _should_run(self) -> bool:
        return self._session.runtime.state == "running" and self._session.engine.clock not in PATIENT_CLOCKS
