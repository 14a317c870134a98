"""What a node type may use to find out whether a configuration would work, before there is a node: `nodes.test`."""

from __future__ import annotations

import asyncio
import functools
import itertools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from ..problems import Refusal
from .alsa_worker.asking import AlsaWorker
from .media_roots import MediaRoots

T = TypeVar("T")

MOST_STUCK = 8  # threads that a disk may hold; then no more are risked

_counter = itertools.count(1)
_stuck: set[threading.Thread] = set()


@dataclass(frozen=True)
class Trial:
    """The world as an endpoint would find it. What does not work is raised as a Refusal, in the words of a node's
    state."""

    sample_rate: int
    block_frames: int
    media: MediaRoots
    alsa: AlsaWorker

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Does what may block, such as opening a file, and gives what that gave or raised.

        Who no longer waits leaves the thread to itself: a disk that hangs holds a thread, and not the daemon.
        """
        if sum(thread.is_alive() for thread in _stuck) >= MOST_STUCK:
            message = f"{MOST_STUCK} earlier tests still hang on a disk or network folder. Look at those first."
            raise Refusal("unavailable", message)
        outcome: Future[T] = Future()
        outcome.set_running_or_notify_cancel()  # from now on nobody can cancel it, but whoever waits can go

        def run() -> None:
            try:
                settle = functools.partial(outcome.set_result, work())
            except BaseException as raised:  # noqa: BLE001 - whoever waits gets it
                settle = functools.partial(outcome.set_exception, raised)
            _stuck.discard(threading.current_thread())
            settle()

        thread = threading.Thread(target=run, name=f"trial {next(_counter)}", daemon=True)
        _stuck.add(thread)
        thread.start()
        return await asyncio.wrap_future(outcome)
