"""A session whose recordings go to a folder of the test's: what the proofs here have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.engine.core import ClockKind
from tonnetz.daemon.graph.edits import AnyEdit, Connect, Disconnect
from tonnetz.daemon.receipt import Receipt
from tonnetz.daemon.session import Session

from ..recordings import Recorders, Recording, Samples, joined

CALLER = Caller("proof", "admin", "test")


class Studio:
    """A running session. `files` and, put together, `recordings` are there once it has ended."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.recorders = Recorders(session)
        self.files: dict[str, list[Recording]] = {}
        self.recordings: dict[str, Samples] = {}

    async def apply(self, edits: Sequence[AnyEdit], fade_ms: float | None = 0) -> Receipt:
        return await self.session.apply(edits, caller=CALLER, fade_ms=fade_ms)


@asynccontextmanager
async def studio(
    folder: Path, document: dict[str, Any], *, clock: ClockKind = "step", block_frames: int = 256, rate: int = 48000
) -> AsyncIterator[Studio]:
    """Plays the document. At the end all of its recorders must have heard everything from frame 0 to the last."""
    media = MediaRoots(play_roots=(folder,), record_root=folder / "recordings")
    session = Session(sample_rate=rate, block_frames=block_frames, clock=clock, media=media)
    try:
        await session.load(document, caller=CALLER, fade_ms=0)
        made = Studio(session)
        made.recorders.note()
        await session.runtime.start()
        yield made
        await session.runtime.stop()
        made.files = made.recorders.read()
        for node_id, pieces in made.files.items():
            whole = joined(node_id, pieces)
            assert (whole.begin, whole.end) == (0, session.engine.frame), node_id
            made.recordings[node_id] = whole.samples
    finally:
        await session.close()


def node(node_id: str, node_type: str, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": node_type, "config": config}


def recorder(node_id: str, channels: int = 1) -> dict[str, Any]:
    return node(node_id, "file_writer", path=node_id, subtype="float", channels=channels)


def document(nodes: Sequence[dict[str, Any]], *wires: str) -> dict[str, Any]:
    """`wires` as `a.out > b.in`."""
    ends = [wire.split(" > ") for wire in wires]
    connections = [{"source": source, "target": target} for source, target in ends]
    return {"version": 1, "nodes": list(nodes), "connections": connections}


def exchanged(old: str, new: str, target: str) -> Iterator[AnyEdit]:
    """Another source for an input."""
    yield Disconnect(source=old, target=target)
    yield Connect(source=new, target=target)
