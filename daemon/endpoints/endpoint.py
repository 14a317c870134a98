"""What the daemon and an endpoint know of each other.

An endpoint is the outside half of a node: a thread that fills the ring the node plays from, or empties the ring
the node records into. Its trouble (a missing file, a full disk) stays its own: it is told as a state, the rest
plays on. Endpoints never import the engine: they are handed a way to make their ring.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from .media_roots import MediaRoots

__all__ = ["Endpoint", "EndpointState", "MediaRoots", "Ring", "Samples", "StateName", "Surroundings"]

Samples = NDArray[np.float32]  # planar: (channels, frames)
StateName = Literal["starting", "running", "retrying", "failed", "ended"]


class Ring(Protocol):
    """Frames between an endpoint and the audio thread (daemon/engine/core.py has the real one). Counts are frames."""

    @property
    def channels(self) -> int: ...

    @property
    def capacity(self) -> int: ...

    @property
    def closed(self) -> bool: ...

    @property
    def written(self) -> int: ...

    @property
    def taken(self) -> int: ...

    @property
    def missed(self) -> int:
        """Asked for by the audio thread while the ring was empty, or dropped by it while the ring was full."""
        ...

    def resize(self, frames: int, *, writes: bool) -> bool:
        """Gives it other memory, of so many frames at least, without losing any; False: there is no memory. Only the
        endpoint's own thread may; `writes` says on which side of the ring it is."""
        ...

    def write(self, block: Samples) -> int:
        """Puts in what fits of a (channels, n) block; how many frames that was."""
        ...

    def read(self, frames: int) -> Samples:
        """Takes out up to so many frames, as (channels, got)."""
        ...

    def wait_space(self, frames: int, timeout_ms: int) -> int:
        """Sleeps until so many frames fit, the ring is closed, `wake` is called or the time is up; how many fit."""
        ...

    def wait_frames(self, frames: int, timeout_ms: int) -> int: ...

    def close(self) -> None:
        """Nothing more will come from, or be taken by, the endpoint: clocks no longer wait for it."""
        ...

    def wake(self) -> None:
        """Ends a wait in another thread; where there is none, the next."""
        ...


class EndpointState(msgspec.Struct, frozen=True):
    """How an endpoint is doing. `message` is for people: what, where, what to do. `detail` depends on the node type."""

    name: StateName
    message: str = ""
    detail: dict[str, Any] = {}


@dataclass(frozen=True)
class Surroundings:
    """What an endpoint is given to live in."""

    sample_rate: int
    block_frames: int
    channels: int  # of the node's one port
    media: MediaRoots
    on_state: Callable[[EndpointState], None]  # may be called from any thread
    on_gap: Callable[[str], object]  # sound was lost, and why, as a sentence; may be called from any thread
    make_ring: Callable[[int, int], Any]  # (channels, frames) -> Ring
    make_card: Callable[..., Any] | None = None  # daemon/engine/card.py has it; None: no sound card is to be opened


class Endpoint(Protocol):
    """The outside half of a node."""

    @property
    def node_id(self) -> str: ...

    @property
    def ring(self) -> Any: ...

    @property
    def state(self) -> EndpointState:
        """As of now; its detail is fresh."""
        ...

    def start(self) -> None:
        """Begins the work in a thread of its own; returns at once."""
        ...

    def configure(self, config: Mapping[str, Any]) -> None:
        """The complete new configuration, of which nothing asks for a new endpoint."""
        ...

    def drain(self) -> None:
        """Of a player: begins the end, fades what comes next, and lets what the ring holds then be heard."""
        ...

    def close(self, length: int | None = None) -> None:
        """Begins the end and returns at once; from now on nothing more is told through `on_state`.

        Of all frames that a recorder's ring was ever given, the first `length` belong into the recording: it waits for
        those that have yet to come and leaves out what came beyond. None: all that the ring holds now. The shortest
        length of several calls counts. A player ends at once; what its ring holds may still play.
        """
        ...

    def join(self, timeout_s: float) -> bool:
        """Waits until the thread is gone and all files are closed. False: it was not in time."""
        ...
