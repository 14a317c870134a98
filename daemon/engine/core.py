"""The compiled core's handles as Python objects: nodes, links, plans, commits and the engine (and in ring.py rings).

Each handle is released where Python drops it; the core keeps its own references while the audio thread can still see a
thing. Statuses become `CoreError`. Every call releases the interpreter lock, so calls are few and carry much.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tonnetz._core import ffi, lib

if TYPE_CHECKING:
    from .ring import Ring

Samples = NDArray[np.float32]  # planar: (channels, frames)
ClockKind = Literal["internal", "freewheel", "step"]

_CLOCKS: dict[ClockKind, int] = {
    "internal": lib.TZ_CLOCK_INTERNAL,
    "freewheel": lib.TZ_CLOCK_FREEWHEEL,
    "step": lib.TZ_CLOCK_STEP,
}
ROUTE = np.dtype(  # struct tz_route
    [
        ("link", np.uintp),
        ("source", np.uint32),
        ("source_port", np.uint32),
        ("target", np.uint32),
        ("target_port", np.uint32),
        ("fading", np.bool_),
    ],
    align=True,
)
assert ROUTE.itemsize == ffi.sizeof("struct tz_route")
_EVENTS_PER_READ = 256


class CoreError(Exception):
    """The core refused: `status` is one of its tz_status values."""

    def __init__(self, status: int, doing: str) -> None:
        super().__init__(f"{doing}: {text(lib.tz_status_text(status))}")
        self.status = status

    @property
    def is_loop(self) -> bool:
        return bool(self.status == lib.TZ_CYCLE)

    @property
    def is_starved(self) -> bool:
        return bool(self.status == lib.TZ_STARVED)


def text(pointer: Any) -> str:
    return bytes(ffi.string(pointer)).decode()


def check(status: int, doing: str) -> None:
    if status != lib.TZ_OK:
        raise CoreError(status, doing)


def made(handle: Any, release: Any, doing: str) -> Any:
    if handle == ffi.NULL:
        raise CoreError(lib.TZ_NO_MEMORY, doing)
    return ffi.gc(handle, release)


def _address(handle: Any) -> int:
    return int(ffi.cast("uintptr_t", handle))


def build_profile() -> str:
    """How the core was compiled: release, debug, asan, tsan or ubsan."""
    return text(lib.tz_build())


def catalogue_json() -> bytes:
    """The C node types, described by themselves (csrc/node_list.c)."""
    size = lib.tz_catalogue_json(ffi.NULL, 0) + 1
    buffer = ffi.new("char[]", size)
    lib.tz_catalogue_json(buffer, size)
    return bytes(ffi.string(buffer))


class Cost(NamedTuple):
    """What a node takes of a block, of those that were timed. Times in ns; `wait_ns`: from the block's begin to the
    node's turn, on average."""

    blocks: int
    minimum_ns: float
    average_ns: float
    maximum_ns: float
    wait_ns: float


class CoreNode:
    """A node object. Shared by every plan it is in, so its state survives edits. `values` as in csrc/node_type.h."""

    def __init__(
        self,
        core_type: str,
        *,
        sample_rate: int,
        block_frames: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        values: Sequence[float],
        list_count: int = 0,
        ring: Ring | None = None,
        tag: int = 0,
    ) -> None:
        made = ffi.new("struct tz_node **")
        flat = ffi.new("double[]", [*values, 0.0])
        channels = ffi.new("uint32_t[]", [*inputs, *outputs, 0])
        status = lib.tz_node_new(
            core_type.encode(),
            sample_rate,
            block_frames,
            list_count,
            len(inputs),
            len(outputs),
            channels,
            flat,
            ring.handle if ring else ffi.NULL,
            made,
        )
        check(status, f"a node of type {core_type}")
        self.handle = ffi.gc(made[0], lib.tz_node_release)
        self.latency = int(lib.tz_node_latency(self.handle, flat))
        self.tag = tag  # what events call it
        self.address = _address(self.handle)
        lib.tz_node_tag(self.handle, tag)

    @property
    def transfers(self) -> bool:
        return bool(lib.tz_node_transfers(self.handle))

    @property
    def late(self) -> bool:
        """Whether what comes in may come out when a fade is long over that began at the same time."""
        return bool(lib.tz_node_is_late(self.handle))

    def reach(self, values: Sequence[float]) -> int:
        """Frames that sound may spend in it, at these values, before it comes out again."""
        return int(lib.tz_node_reach(self.handle, ffi.new("double[]", [*values, 0.0])))

    @property
    def faults(self) -> int:
        return int(lib.tz_node_faults(self.handle))

    def cost(self) -> Cost:
        cost = ffi.new("struct tz_cost *")
        lib.tz_node_cost(self.handle, cost)
        return Cost(cost.blocks, cost.minimum_ns, cost.average_ns, cost.maximum_ns, cost.wait_ns)


class CoreLink:
    """One connection's fade. Born sounding (gain 1) or silent (gain 0)."""

    def __init__(self, sounding: bool) -> None:
        self.handle = made(lib.tz_link_new(sounding), lib.tz_link_release, "a link")
        self.address = _address(self.handle)

    @property
    def let_go(self) -> int | None:
        """The frame by which one that drained had begun to fade by itself; None: it has not."""
        return int(lib.tz_link_let_go(self.handle)) or None


class Route(NamedTuple):
    """A link between two nodes of a plan, by their places in its list and their port numbers."""

    link: CoreLink
    source: int
    source_port: int
    target: int
    target_port: int
    fading: bool


class CorePlan:
    """A built plan, until a commit takes it."""

    def __init__(self, nodes: Sequence[CoreNode], routes: Sequence[Route], block_frames: int) -> None:
        handles = np.array([node.address for node in nodes], np.uintp)
        self._build(handles, np.array([(route.link.address, *route[1:]) for route in routes], ROUTE), block_frames)

    @classmethod
    def of_arrays(cls, handles: NDArray[np.uintp], routes: NDArray[np.void], block_frames: int) -> CorePlan:
        """Of the nodes' addresses, and an array of ROUTE. Nodes and links have to live until this returns."""
        made = cls.__new__(cls)
        made._build(handles, routes, block_frames)
        return made

    def _build(self, handles: NDArray[np.uintp], routes: NDArray[np.void], block_frames: int) -> None:
        made = ffi.new("struct tz_plan **")
        nodes = ffi.cast("struct tz_node **", handles.ctypes.data)
        wires = ffi.cast("struct tz_route *", routes.ctypes.data)
        check(lib.tz_plan_build(nodes, len(handles), wires, len(routes), block_frames, made), "a plan")
        self.handle = ffi.gc(made[0], lib.tz_plan_release)

    def __str__(self) -> str:
        size = lib.tz_plan_text(self.handle, ffi.NULL, 0) + 1
        buffer = ffi.new("char[]", size)
        lib.tz_plan_text(self.handle, buffer, size)
        return text(buffer)


class CoreCommit:
    """Everything of one transaction, carried out whole at one block boundary once it is submitted."""

    def __init__(self, number: int, plan: CorePlan | None) -> None:
        self.number = number
        handle = lib.tz_commit_new(number, plan.handle if plan else ffi.NULL)
        self.handle = made(handle, lib.tz_commit_release, "a commit")
        if plan:
            ffi.gc(plan.handle, None)  # the commit owns it from here

    def set(self, node: CoreNode, values: Sequence[float], ramp_frames: int | None) -> None:
        """New parameter values; reached after `ramp_frames`, None = as the type itself finds right."""
        flat = ffi.new("double[]", [*values, 0.0])
        check(
            lib.tz_commit_set(self.handle, node.handle, flat, -1 if ramp_frames is None else ramp_frames),
            "new settings",
        )

    def fade(self, link: CoreLink, sounding: bool, frames: int, wait: int = 0) -> None:
        """A fade that begins after `wait` frames."""
        check(lib.tz_commit_fade(self.handle, link.handle, sounding, frames, wait), "a fade")

    def follow(self, link: CoreLink, leader: CoreLink) -> None:
        """A new link begins in the middle of another's fade."""
        check(lib.tz_commit_follow(self.handle, link.handle, leader.handle), "a fade that goes on")

    def pace(self, node: CoreNode | None) -> None:
        """The card behind a node becomes the engine's clock; None: the timer."""
        check(lib.tz_commit_pace(self.handle, node.handle if node else ffi.NULL), "a change of clock")

    def drain(self, link: CoreLink, quiet: int, limit: int, fade: int) -> None:
        """The link sounds on until it has been inaudible for `quiet` frames, or `limit` have passed; then it fades."""
        drain = ffi.new("struct tz_drain *", (quiet, limit, fade))
        check(lib.tz_commit_drain(self.handle, link.handle, drain), "a link that drains")

    def transfer(self, source: CoreNode, target: CoreNode) -> None:
        """The state of `source` goes over to its successor, as far as the type can use it."""
        check(lib.tz_commit_transfer(self.handle, source.handle, target.handle), "a transfer of state")

    def copy(self, source: CoreNode, target: CoreNode) -> None:
        """The state of `source` at that boundary goes into `target`, a node like it that does not sound. There may be
        several. What is adopted is told when all is copied. One such commit may be under way at a time."""
        check(lib.tz_commit_copy(self.handle, source.handle, target.handle), "a copy of a state")

    def at(self, frame: int) -> None:
        """Before it is submitted: adopt it at the first block boundary at or after this frame."""
        lib.tz_commit_at(self.handle, frame)

    def withdraw(self) -> bool:
        """Takes back one that was submitted and has not been told as adopted; False: it is too late."""
        return bool(lib.tz_commit_withdraw(self.handle))


class EngineEvent(NamedTuple):
    """What the audio thread told. `kind`: adopted, fault, gap, stepped_down or late; csrc/tonnetz_core.h says what the
    rest means."""

    kind: str
    id: int
    frame: int
    value: float


_EVENT_KINDS = {
    lib.TZ_EVENT_ADOPTED: "adopted",
    lib.TZ_EVENT_FAULT: "fault",
    lib.TZ_EVENT_GAP: "gap",
    lib.TZ_EVENT_STEPPED_DOWN: "stepped_down",
    lib.TZ_EVENT_LATE: "late",
}


class EngineStatus(NamedTuple):
    """Counters of the audio thread. `frame` and `frame_time_ns` (CLOCK_REALTIME) belong together: the newest
    block's begin."""

    frame: int
    frame_time_ns: int
    blocks: int
    late_blocks: int
    gaps: int
    gap_frames: int
    commits: int
    faults: int
    lateness: tuple[int, ...]  # [k]: blocks that woke less than 2**k microseconds late
    load_average: float
    load_maximum: float
    realtime_priority: int


class CoreEngine:
    """The engine. One thread at a time may call it, except `step` and `stop`, which may wait in a thread of their
    own."""

    def __init__(self, sample_rate: int, block_frames: int, clock: ClockKind, realtime_priority: int = 0) -> None:
        made = ffi.new("struct tz_engine **")
        check(lib.tz_engine_new(sample_rate, block_frames, _CLOCKS[clock], realtime_priority, made), "the engine")
        self.handle = ffi.gc(made[0], lib.tz_engine_release)
        self.sample_rate = sample_rate
        self.block_frames = block_frames
        self.clock = clock
        self._events = ffi.new("struct tz_event[]", _EVENTS_PER_READ)

    def start(self) -> None:
        check(lib.tz_engine_start(self.handle), "the audio thread")

    def stop(self) -> None:
        """Returns when the audio thread is gone, at most a block later."""
        check(lib.tz_engine_stop(self.handle), "stopping the audio thread")

    def step(self, blocks: int, timeout_ms: int) -> None:
        """Runs blocks on the calling thread. CoreError with `is_starved` where a block waited too long for an
        endpoint."""
        check(lib.tz_engine_step(self.handle, blocks, timeout_ms), f"stepping {blocks} blocks")

    def submit(self, commit: CoreCommit) -> None:
        check(lib.tz_engine_submit(self.handle, commit.handle), "a commit")
        ffi.gc(commit.handle, None)  # the engine owns it from here

    def events(self) -> list[EngineEvent]:
        """What the audio thread told since the last call; frees what it gave back."""
        found: list[EngineEvent] = []
        while True:
            count = lib.tz_engine_events(self.handle, self._events, _EVENTS_PER_READ)
            found.extend(
                EngineEvent(_EVENT_KINDS[event.kind], event.id, event.frame, event.value)
                for event in self._events[0:count]
            )
            if count < _EVENTS_PER_READ:
                return found

    def clear_bell(self) -> None:
        """Lets `event_fd` be quiet until the audio thread tells something new."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.event_fd)

    def meter(self, on: bool) -> None:
        lib.tz_engine_meter(self.handle, on)

    @property
    def event_fd(self) -> int:
        return int(lib.tz_engine_event_fd(self.handle))

    @property
    def frame(self) -> int:
        """The first frame of the next block. `events` gives all that happened before it, if it is asked afterwards."""
        return int(lib.tz_engine_frame(self.handle))

    def status(self) -> EngineStatus:
        status = ffi.new("struct tz_engine_status *")
        lib.tz_engine_status(self.handle, status)
        return EngineStatus(
            **{name: getattr(status, name) for name in EngineStatus._fields if name != "lateness"},
            lateness=tuple(status.lateness),
        )
