"""`debug.*`: looking into ports and nodes while they play, and playing something into them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.edits import NodeId
from tonnetz.daemon.graph.model import NODE_ID_PATTERN

from ..method_table import Call, Shell, method
from ..route import Blob, Route

WORD = NODE_ID_PATTERN.strip("^$")
PortOrConnection = Annotated[
    str,
    Meta(
        pattern=rf"^{WORD}\.{WORD}(:{WORD}\.{WORD})?$",
        description="port (node.port) or connection (source:target)",
    ),
]
InputName = Annotated[str, Meta(pattern=NODE_ID_PATTERN, description="the input; the node's first unless given")]
Seconds = Annotated[float, Meta(gt=0, le=5, description="how much: the last so many seconds")]
Duration = Annotated[float, Meta(gt=0, le=60, description="for how long; it ends by itself")]
Frequency = Annotated[float, Meta(ge=1, le=192_000, description="of the tone, in Hz")]
Level = Annotated[float, Meta(ge=-120, le=0, description="the signal's peak, in dBFS")]
Seed = Annotated[int, Meta(ge=0, le=2**31 - 1, description="the same noise for the same seed")]
Sample = Annotated[float, Meta(ge=-16, le=16)]
Channels = Annotated[
    list[Annotated[list[Sample], Meta(max_length=2**22)]],
    Meta(max_length=64, description="what `samples` plays: a list for each channel, or one for all; 1 is full scale"),
]
Signal = Annotated[
    Literal["tone", "noise", "impulse", "samples", "none"],
    Meta(description="none: what is played there ends"),
]
TraceBlocks = Annotated[int, Meta(ge=1, le=4096, description="how many blocks")]
Format = Annotated[Literal["json", "npy", "wav"], Meta(description="numbers, a NumPy array, or a sound file of floats")]


class Samples(msgspec.Struct, frozen=True, kw_only=True, tag="samples", tag_field="kind"):
    """The samples of a port from `frame` on, a list for each channel; 1 is full scale."""

    port: str
    sample_rate: int
    frame: int
    samples: list[list[float]]


class Injected(msgspec.Struct, frozen=True):
    """Where and when it plays: from `frame` on, for `frames` of them."""

    port: str
    frame: int
    frames: int


class TracedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """One block. `at_us`: when the node's turn came, since that of the first block. `faults`: how many of its blocks
    were muted for NaN or infinity so far. Peaks are those over all ports of a direction; null is silence."""

    frame: int
    at_us: float
    busy_us: float
    in_peak_db: float | None
    out_peak_db: float | None
    faults: int


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The blocks of a node one by one, its parameters and its state afterwards, and the events that fell between.

    `complete`: as many came as were asked for.
    """

    node: str
    type: str
    config: dict[str, Any]
    state: str
    state_message: str
    sample_rate: int
    block_frames: int
    complete: bool
    blocks: list[TracedBlock]
    changes: list[dict[str, Any]]


@method(
    "debug.buffer",
    role="viewer",
    shell=Shell("buffer <id>", example="tonnetz buffer eq.out --seconds 0.01"),
    http=Route("GET /api/debug/buffers/{id}", media=("application/x-npy", "audio/wav")),
)
async def buffer(call: Call, id: PortOrConnection, seconds: Seconds = 1.0, format: Format = "json") -> Samples | Blob:
    """Give the last seconds of a port, or of what goes into a connection.

    At the first look there is no past yet, and it waits for it. For ten seconds after a look the port is listened to,
    so the next one has it at once. JSON takes 200,000 samples; `npy` and `wav` are for more. Fewer frames than asked
    for are given where the engine stops, none where it is held.
    """
    from tonnetz.daemon.probing.buffers import buffer_of  # not needed to declare the method

    taken = await buffer_of(call.session, id, seconds, format)
    if format == "json":
        return Samples(**taken.facts(), samples=taken.numbers())
    return Blob(media_type=taken.media_type(format), name=taken.file_name(format), data=await taken.encoded(format))


@method(
    "debug.inject",
    role="operator",
    mutates=True,
    shell=Shell("inject <node> [<signal>]", example="tonnetz inject eq tone --duration-s 2"),
    http=Route("POST /api/debug/inject/{node}"),
)
async def inject(
    call: Call,
    node: NodeId,
    signal: Signal = "tone",
    port: InputName | None = None,
    duration_s: Duration = 1.0,
    level_db: Level = -20.0,
    frequency: Frequency = 997.0,
    seed: Seed = 1,
    samples: Channels | None = None,
) -> Injected:
    """Play a test signal into an input, beside what comes in anyway.

    It fades in and out within 5 ms, and ends by itself. A second one at the same input fades out the first. The graph
    stays as it is.
    """
    injections = call.session.probing.injections
    played = await injections.start(
        node,
        port or "",
        signal,
        frequency=frequency,
        level_db=level_db,
        duration_s=duration_s,
        seed=seed,
        samples=samples,
    )
    return msgspec.convert(played, Injected)


@method(
    "debug.trace",
    role="viewer",
    shell=Shell("trace <node> [<blocks>]", example="tonnetz trace eq 8"),
    http=Route("GET /api/debug/trace/{node}"),
)
async def trace(call: Call, node: NodeId, blocks: TraceBlocks = 16) -> Trace:
    """Tell of the next blocks of a node, one by one.

    When its turn came, how long it took, how loud it was, and what was changed meanwhile. It answers when all of them
    are over, or when no more come.
    """
    from tonnetz.daemon.probing.tracing import trace as traced  # not needed to declare the method

    return msgspec.convert(await traced(call.session, node, blocks), Trace)
