"""An endpoint with a thread of its own: the life that players and recorders have in common."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from .endpoint import EndpointState, Ring, StateName, Surroundings

log = logging.getLogger(__name__)

GAP_S = 1.0  # between two gaps that are told: a disk that stays too slow makes one in every piece


class ThreadedEndpoint:
    """Runs `work` in one thread, from `start` until it returns; tells states until `close`.

    A subclass implements `work` and `detail`, and looks at `ending` at least every tenth of a second, or whenever a
    wait for its ring is over: `close` ends that.
    """

    def __init__(self, node_id: str, surroundings: Surroundings, buffer_ms: float) -> None:
        self.node_id = node_id
        self.surroundings = surroundings
        self.buffer_frames = self._frames_of(buffer_ms)
        self.ring: Ring = surroundings.make_ring(surroundings.channels, self.buffer_frames)
        self.ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"endpoint {node_id}")
        self._told: tuple[StateName, str] = ("starting", "")
        self._missed = 0  # frames of the ring's that were told, or that nobody waited for
        self._gap_told = -GAP_S

    def work(self) -> None:
        raise NotImplementedError

    def detail(self) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def state(self) -> EndpointState:
        name, message = self._told
        return EndpointState(name, message, self.detail())

    def start(self) -> None:
        self._thread.start()

    def resize_buffer(self, buffer_ms: float, *, writes: bool) -> None:
        """Another size of the ring, if it is another. What is in it is read to the end first. `writes`: whether the
        endpoint is the side that does."""
        wanted = self._frames_of(buffer_ms)
        if wanted != self.buffer_frames and self.ring.resize(wanted, writes=writes):
            self.buffer_frames = wanted

    def _frames_of(self, buffer_ms: float) -> int:
        """At least eight blocks, whatever is asked for: the thread has to have time to wake."""
        about = self.surroundings
        return max(round(buffer_ms / 1000 * about.sample_rate), 8 * about.block_frames)

    def join(self, timeout_s: float) -> bool:
        if self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def is_told(self, name: StateName, message: str = "") -> bool:
        return self._told == (name, message)

    def tell(self, name: StateName, message: str = "") -> None:
        """The state from now on. Once the end has begun nobody is told: another endpoint may bear the id by then."""
        self._told = (name, message)
        if name in ("failed", "retrying"):
            log.warning("%s: %s: %s", self.node_id, name, message)
        if not self.ending.is_set():
            self.surroundings.on_state(self.state)

    def forgive_gaps(self) -> None:
        """What was missing until now was no loss: the sound begins here."""
        self._missed = self.ring.missed

    def look_for_gaps(self, why: str) -> None:
        """Tells of frames that the audio thread found missing, or had no room for, since it was told last. `why` ends
        in a colon."""
        missed, now = self.ring.missed - self._missed, time.monotonic()
        if missed > 0 and now - self._gap_told >= GAP_S and not self.ending.is_set():
            self._missed += missed
            self._gap_told = now
            self.surroundings.on_gap(f"{why} {missed / self.surroundings.sample_rate:.3f} s are lost.")

    def _live(self) -> None:
        try:
            self.work()
        except Exception as fault:  # whatever it is, it must not pass unseen
            log.exception("%s: its thread ended with a fault", self.node_id)
            self.tell("failed", f"A fault in the program ended this node's work ({type(fault).__name__}); see the log.")
        finally:
            self.ring.close()
