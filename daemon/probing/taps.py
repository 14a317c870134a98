"""Taps on ports: the newest seconds of a port, kept as long as somebody listens, and a while longer.

One tap serves all who listen to a port. It is hung when the first comes, so there is no past to look back on then; it
stays for LINGER_S after the last has gone, so whoever looks again finds one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..engine.core import CoreError, Samples
from ..engine.core_probes import CoreTap
from ..problems import Problem, Refusal, refuse
from .leaving import take_away
from .places import Place, find_place

if TYPE_CHECKING:
    from ..session import Session

KEPT_S = 5.0  # of sound, at least
LINGER_S = 10.0  # that a tap stays when nobody holds it: whoever looks again soon finds the past
LOOK_S = 0.02  # between two looks at a tap: a few blocks
BUDGET_BYTES = 128 << 20  # for all taps together: 64 channels at 48 kHz


class Tap:
    """Somebody's hold on a port's tap; to be closed. Places in time are frames of the engine."""

    def __init__(self, taps: Taps, shared: Shared) -> None:
        self._taps = taps
        self._shared = shared
        self._closed = False

    @property
    def place(self) -> Place:
        return self._shared.place

    @property
    def is_there(self) -> bool:
        """Whether the graph still has the port, with as many channels."""
        return self._taps.look_after(self._shared)

    @property
    def span(self) -> tuple[int, int]:
        """The frames that can be read: from the first to before the second."""
        return self._shared.core.span

    def read(self, first: int, frames: int) -> Samples | None:
        """(channels, frames) from a frame on; None where not all of them are there, or not any more."""
        return self._shared.core.read(first, frames)

    def newest(self, frames: int) -> tuple[int, Samples]:
        """The last so many frames, or fewer where there are not as many; and the first one's place."""
        while True:
            begin, end = self.span
            first = max(begin, end - frames)
            block = self.read(first, end - first)
            if block is not None:  # else the audio thread went on over them in the meantime
                return first, block

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._taps.release(self._shared)


class Shared:
    """One tap and how many hold it."""

    def __init__(self, place: Place, core: CoreTap) -> None:
        self.place = place
        self.core = core
        self.holders = 0
        self.linger: asyncio.TimerHandle | None = None
        self.bytes = 4 * place.channels * core.capacity


class Taps:
    """All taps of a session, by port."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._shared: dict[str, Shared] = {}

    def open(self, name: str) -> Tap:
        """A hold on the tap of `node.port`, or of the port that a connection comes from. Raises a Refusal."""
        place = find_place(self._session, name)
        shared = self._shared.get(place.name)
        if (
            shared is not None and shared.place != place
        ):  # the port has other channels now; who holds the old one is told
            self._remove(shared)
            shared = None
        if shared is None:
            shared = self._hang(place)
        self.look_after(shared)
        shared.holders += 1
        if shared.linger is not None:
            shared.linger.cancel()
            shared.linger = None
        return Tap(self, shared)

    def release(self, shared: Shared) -> None:
        shared.holders -= 1
        if shared.holders == 0 and self._shared.get(shared.place.name) is shared:
            shared.linger = asyncio.get_running_loop().call_later(LINGER_S, self._remove, shared)

    def look_after(self, shared: Shared) -> bool:
        """Sees to it that the tap hangs on the node's present object, which may have come without it. False: it
        can't."""
        session, place = self._session, shared.place
        if self._shared.get(place.name) is not shared or place.node_id not in session.graph.nodes:
            return False
        part = session.stage.part(place.node_id)
        if session.stage.probes.hangs_on(shared.core, part.core):
            return True
        if not place.fits(part):
            return False
        try:
            session.stage.take_down(shared.core)
            session.stage.hang(shared.core, place.node_id, place.fits)
        except CoreError:
            pass  # the queue is full; the next look tries again
        return True

    def close(self) -> None:
        """Takes all of them down."""
        for shared in list(self._shared.values()):
            self._remove(shared)

    def _hang(self, place: Place) -> Shared:
        session = self._session
        shared = Shared(
            place, CoreTap(place.is_input, place.number, place.channels, round(KEPT_S * session.engine.sample_rate))
        )
        if sum(other.bytes for other in self._shared.values()) + shared.bytes > BUDGET_BYTES:
            message = f"All taps together may keep {BUDGET_BYTES >> 20} MiB; wait until others have gone."
            raise refuse("unavailable", [Problem("limit", message, data={"maximum": BUDGET_BYTES})])
        try:
            session.stage.hang(shared.core, place.node_id, place.fits)
        except CoreError as error:
            raise Refusal("unavailable", f"The port can't be tapped now: {error}. Try again.") from error
        self._shared[place.name] = shared
        return shared

    def _remove(self, shared: Shared) -> None:
        if shared.linger is not None:
            shared.linger.cancel()
            shared.linger = None
        if self._shared.get(shared.place.name) is shared:
            del self._shared[shared.place.name]
        take_away(self._session, shared.core)


async def wait_for_frames(tap: Tap, frames: int, patience_s: float) -> None:
    """Until so many frames can be read, the port has gone, or no more come for `patience_s`."""
    seen, still_s = tap.span[1], 0.0
    while True:
        begin, end = tap.span
        if end - begin >= frames or not tap.is_there or still_s > patience_s:
            return
        still_s = 0.0 if end != seen else still_s + LOOK_S
        seen = end
        await asyncio.sleep(LOOK_S)
