"""What sound has left in the nodes, carried from one run of the daemon to the next: delay lines, filter memories,
envelopes, and where players are in their files.

Taken when the daemon is told to end, and kept beside the stored graph for the next start alone: it is read once, and
only for the very revision that it was taken of. After a crash there is none, and sound begins in empty nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .graph.node_state import NodeState
from .node_states import MOST_AT_ONCE
from .problems import Refusal

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

FILE = "carried.msgpack"
FORMAT = 1
TAKING_S = 2.0  # for all nodes: an end must not wait long for what a restart can do without
MOST_BYTES = 64 << 20  # of one node's state; and of those that are copied at once


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """States by node, and what else a node goes on from: its momentary parameters as its endpoint told them last."""

    revision: int = 0
    sample_rate: int = 0
    format: int = FORMAT
    states: Mapping[str, NodeState] = {}
    places: Mapping[str, dict[str, Any]] = {}


NOTHING = Carried()


async def take(session: Session) -> Carried:
    """From a session that plays. Nodes whose state can't be had in time are left out; the largest come last."""
    places = {node_id: place for node_id in session.graph.nodes if (place := _place(session, node_id))}
    states: dict[str, NodeState] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(TAKING_S):
            for together in _batches(session.states.sizes()):
                with contextlib.suppress(Refusal):
                    states |= await session.states.get_some(together)
    return Carried(revision=session.revision, sample_rate=session.engine.sample_rate, states=states, places=places)


def _batches(sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """Nodes whose states are to be copied at once."""
    batch: list[str] = []
    size = 0
    for node_id in sorted(sizes, key=sizes.__getitem__):
        if sizes[node_id] > MOST_BYTES:
            break
        if len(batch) == MOST_AT_ONCE or size + sizes[node_id] > MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(node_id)
        size += sizes[node_id]
    if batch:
        yield batch


def _place(session: Session, node_id: str) -> dict[str, Any]:
    """Where the node is, by the parameters that say where it shall begin."""
    outside = session.stage.part(node_id).outside
    if outside is None:
        return {}
    told = outside.state.detail
    spec = session.catalogue[session.graph.nodes[node_id].type]
    return {one.name: told[one.name] for one in spec.parameters if one.momentary and one.name in told}


def write(folder: Path, carried: Carried) -> None:
    """Keeps it for the next start. Never raises: what can't be written is only not carried."""
    try:
        part = folder / f"{FILE}.part"
        part.write_bytes(msgspec.msgpack.encode(carried))
        part.replace(folder / FILE)
    except OSError as error:
        log.warning("the nodes' states are not kept for the next start: %s", error)


def read(folder: Path, revision: int, sample_rate: int) -> Carried:
    """What the last run left, if it belongs to this revision; the file is gone then. Never raises."""
    path = folder / FILE
    try:
        data = path.read_bytes()
        path.unlink()
        carried = msgspec.msgpack.decode(data, type=Carried)
    except FileNotFoundError:
        return NOTHING
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("the nodes begin empty, as what the last run left can't be read: %s", error)
        return NOTHING
    if (carried.format, carried.revision, carried.sample_rate) != (FORMAT, revision, sample_rate):
        return NOTHING
    return carried
