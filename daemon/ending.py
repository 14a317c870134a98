"""Fades out what sounds before the engine stops, so that nobody hears a click and every recording ends gently.

The graph itself is not touched: what is stored, and begun with next time, is the graph that played.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from .engine.core import CoreError
from .engine.parts import Order
from .graph.plan import Plan

if TYPE_CHECKING:
    from .session import Session

log = logging.getLogger(__name__)

FADE_MS = 50.0  # longer than an edit's, as nothing comes after it; nobody waits for it long
PATIENCE_S = 1.0  # for an engine that does not get on with it


async def fade_out(session: Session) -> None:
    """All that leads into a sink fades to silence. Returns when it has, or the engine has not done it in time."""
    stage, engine = session.stage, session.engine
    if session.runtime.state != "running" or engine.clock == "step":
        return
    quiet = {
        name: tuple(wire for wire in wires if not wire.target.is_sink)
        for name, wires in stage.plan.by_connection.items()
    }
    silence = Plan(stage.plan.nodes, quiet, frozenset(wire for wires in quiet.values() for wire in wires))
    if silence.wires == stage.plan.wires:
        return
    try:
        change = stage.change_to(silence, Order({}, session.frames(FADE_MS), None, pacer=stage.scene.pacer)).change
        async with asyncio.timeout(PATIENCE_S):
            end = await change.frame + session.frames(FADE_MS) + engine.block_frames
            while (left := end - engine.frame) > 0:  # noqa: ASYNC110 - no bell rings for a frame
                await asyncio.sleep(left / engine.sample_rate)
    except (CoreError, TimeoutError) as error:
        log.warning("stopping without a fade: %s", error or "the engine did not take it up in time")
