"""`runtime.*`: the engine's state and what it costs."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.edits import NodeId
from tonnetz.daemon.problems import Refusal, suggestion
from tonnetz.daemon.storage.status import StorageStatus

from ..method_table import Call, Shell, method
from ..route import Route

RuntimeState = Literal["stopped", "running", "paused"]
# A minute of audio at 48 kHz and 256 frames: more would keep this connection waiting for longer than people do.
Blocks = Annotated[int, Meta(ge=1, le=100_000, description="how many blocks to process")]

Nodes = Annotated[list[NodeId], Meta(max_length=10_000, description="the nodes wanted; all of them when null")]


class NodeTrouble(msgspec.Struct, frozen=True):
    """A node that is not running, and why."""

    id: str
    type: str
    state: str
    message: str


class RuntimeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The engine at a glance. `load` is the share of the block's time that processing takes, lately and on average."""

    state: RuntimeState
    revision: int
    frame: int
    time_s: float
    sample_rate: int
    block_frames: int
    clock: str
    load: float
    late_blocks: int
    nodes: int
    connections: int
    not_running: list[NodeTrouble]
    storage: StorageStatus


class NodeCost(msgspec.Struct, frozen=True, kw_only=True):
    """What a node takes of a block's time, of one block in 16. `wait_ns`: from the block's begin until its turn, on
    average. `load`: its share of a block's time. `faults` counts blocks muted for NaN or infinity."""

    blocks: int
    minimum_ns: float
    average_ns: float
    maximum_ns: float
    wait_ns: float
    load: float
    load_maximum: float
    faults: int


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """Sound that was lost, or nearly, in the block at `frame` or shortly before; `time` is UTC, RFC 3339.

    `late`: a block was done after its time. `gap`: the machine held the audio thread up for long. `stepped_down`: it
    gave up its real-time priority. `fault`: `node` gave out NaN or infinity. `xrun`: the card, file or disk of `node`
    ran dry or over.
    """

    frame: int
    time: str
    kind: Literal["late", "gap", "stepped_down", "fault", "xrun"]
    cause: str
    node: str | None


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """What the audio thread counted so far. `load_maximum` is that of the newest thousand blocks, two thousand at most.
    `lateness_us` counts blocks by how late they began (`<64`: below 64 µs). `incidents` are the newest hundred; of late
    blocks about three a second are told.

    `realtime_priority` is 0 where it runs at ordinary priority: nobody asked for more, or that is not allowed, or it
    hogged its core. `memory_locked`: no page of the daemon's can be swapped out.
    """

    state: RuntimeState
    frame: int
    time_s: float
    sample_rate: int
    block_frames: int
    clock: str
    load: float
    load_maximum: float
    blocks: int
    late_blocks: int
    gaps: int
    gap_frames: int
    commits: int
    faults: int
    realtime_priority: int
    memory_locked: bool
    lateness_us: dict[str, int]
    incidents: list[Incident]
    nodes: dict[str, NodeCost]


class Levels(msgspec.Struct, frozen=True):
    """In dBFS, per channel; null is silence."""

    peak_db: list[float | None]
    rms_db: list[float | None]


@method(
    "runtime.status",
    role="viewer",
    shell=Shell("status", example="tonnetz status"),
    http=Route("GET /api/runtime/status"),
)
async def status(call: Call) -> RuntimeStatus:
    """Tell how the engine is.

    State, revision, time, load, late blocks, the nodes that are not running, and whether changes can be stored.
    """
    session = call.session
    now = {
        **session.runtime.status(),
        "revision": session.revision,
        "nodes": len(session.graph.nodes),
        "connections": len(session.graph.connections),
        "not_running": not_running(call),
        "storage": session.keeping.status,
    }
    return msgspec.convert(now, RuntimeStatus)


@method("runtime.performance", role="viewer", http=Route("GET /api/runtime/performance"))
async def performance(call: Call) -> Performance:
    """Tell what processing costs, in all and node by node, and how late blocks were."""
    return msgspec.convert(call.session.runtime.performance(), Performance)


@method("runtime.meters", role="viewer", http=Route("GET /api/runtime/meters"))
async def meters(call: Call, nodes: Nodes | None = None) -> dict[str, Levels]:
    """Tell the levels of nodes: the peak since the last look, and the RMS now.

    They are those of what a node gives out, or a sink takes in. They are only measured while somebody looks, so the
    first look after a while finds them empty.
    """
    known = call.session.graph.nodes
    for node in nodes or ():
        if node not in known:
            raise Refusal("not_found", f"There is no node '{node}'.{suggestion(node, known)}")
    return msgspec.convert(call.session.runtime.meters(nodes), dict[str, Levels])


@method(
    "runtime.start",
    role="operator",
    mutates=True,
    shell=Shell("start", example="tonnetz start"),
    http=Route("POST /api/runtime/start"),
)
async def start(call: Call) -> RuntimeStatus:
    """Start the engine, or let a paused one go on."""
    await call.session.runtime.start()
    return await status(call)


@method(
    "runtime.stop",
    role="operator",
    mutates=True,
    shell=Shell("stop", example="tonnetz stop"),
    http=Route("POST /api/runtime/stop"),
)
async def stop(call: Call) -> RuntimeStatus:
    """Stop the engine and finish the files being written.

    The graph stays and can be edited.
    """
    await call.session.runtime.stop()
    return await status(call)


@method(
    "runtime.pause",
    role="operator",
    mutates=True,
    shell=Shell("pause", example="tonnetz pause"),
    http=Route("POST /api/runtime/pause"),
)
async def pause(call: Call) -> RuntimeStatus:
    """Hold the engine between two blocks.

    Starting it lets it go on without a gap in any file; stepping runs single blocks.
    """
    await call.session.runtime.pause()
    return await status(call)


@method(
    "runtime.step",
    role="operator",
    mutates=True,
    shell=Shell("step [<blocks>]", example="tonnetz step 10"),
    http=Route("POST /api/runtime/step"),
)
async def step(call: Call, blocks: Blocks = 1) -> RuntimeStatus:
    """Process some blocks and hold again.

    Only when the engine is paused or stopped, or runs on the step clock.
    """
    await call.session.runtime.step(blocks)
    return await status(call)


def not_running(call: Call) -> list[NodeTrouble]:
    """The nodes that neither run nor are bypassed on purpose."""
    return [msgspec.convert(trouble, NodeTrouble) for trouble in call.session.troubles()]
