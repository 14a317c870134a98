"""The next blocks of a node, one by one: when, how long, how loud, and what was changed meanwhile."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from ..engine.core import CoreError
from ..engine.core_probes import CoreTrace, TraceLine
from ..graph.config import redact
from ..problems import Refusal
from ..view import state_and_message
from .leaving import take_away
from .places import known_part

if TYPE_CHECKING:
    from ..events import Event
    from ..session import Session

LOOK_S = 0.01  # between two looks whether all blocks are there
PATIENCE_S = 1.0  # for the next block to come; a machine that is held up may miss some
WATCHED = ("transaction_applied", "parameter_changed", "node_replaced", "node_state_changed")
TOLD = ("revision", "frame", "author", "label", "param", "value", "state", "state_message")


async def trace(session: Session, node_id: str, blocks: int) -> dict[str, Any]:
    """Waits for the blocks, or until no more come; `complete` says which."""
    part = known_part(session, node_id)
    spec = part.plan_node.spec
    probe = CoreTrace(blocks)
    events = session.events.subscribe(WATCHED)
    try:
        session.stage.hang(probe, node_id, lambda other: other.plan_node.spec is spec)
        lines = await _wait(session, node_id, probe, blocks)
        heard = [await anext(events) for _ in range(len(events))]
    except CoreError as error:
        raise Refusal("unavailable", f"The node can't be traced now: {error}. Try again.") from error
    finally:
        events.close()
        take_away(session, probe)
    return _told(session, node_id, blocks, lines, heard)


async def _wait(session: Session, node_id: str, probe: CoreTrace, blocks: int) -> list[TraceLine]:
    lines: list[TraceLine] = []
    still_s = 0.0
    while still_s < PATIENCE_S and node_id in session.graph.nodes:
        before = len(lines)
        lines = probe.lines
        if len(lines) == blocks:
            break
        still_s = still_s + LOOK_S if len(lines) == before else 0.0
        await asyncio.sleep(LOOK_S)
    return lines


def _told(session: Session, node_id: str, blocks: int, lines: list[TraceLine], heard: list[Event]) -> dict[str, Any]:
    node = session.graph.nodes.get(node_id)
    state, message = state_and_message(session, node) if node else ("", "")
    begin = lines[0].begin_ns if lines else 0
    return {
        "node": node_id,
        "type": node.type if node else "",
        "config": redact(session.catalogue[node.type], node.config) if node else {},
        "state": state,
        "state_message": message,
        "sample_rate": session.engine.sample_rate,
        "block_frames": session.engine.block_frames,
        "complete": len(lines) == blocks,
        "blocks": [
            {
                "frame": line.frame,
                "at_us": (line.begin_ns - begin) / 1000,
                "busy_us": line.busy_ns / 1000,
                "in_peak_db": _decibels(line.in_peak),
                "out_peak_db": _decibels(line.out_peak),
                "faults": line.faults,
            }
            for line in lines
        ],
        "changes": [
            {"event": event.name, **{key: value for key, value in event.params.items() if key in TOLD}}
            for event in heard
            if event.params.get("node_id", node_id) == node_id
        ],
    }


def _decibels(peak: float) -> float | None:
    return round(20 * math.log10(peak), 2) if 0 < peak < math.inf else None
