"""Rendering a graph without a daemon: as fast as the machine can, on the step clock, sample for sample what would
have played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .caller import Caller
from .endpoints.endpoint import MediaRoots
from .session import Session

TROUBLED = ("failed", "retrying")
BLOCKS_PER_STEP = 512  # about 2.7 s of audio between two looks at the progress


def render(
    document: Any,
    seconds: float,
    base_dir: Path,
    progress: Callable[[float], None] = lambda _: None,
    *,
    sample_rate: int = 48000,
    block_frames: int = 256,
) -> dict[str, Any]:
    """Plays `seconds` (rounded up to whole blocks) of a graph document; relative paths in it start at `base_dir`.

    `progress` is told the seconds rendered so far. The answer says how many frames were rendered, and of each node
    with a file behind it what became of it. Raises Refusal for a document that can't be played.
    """
    return asyncio.run(_render(document, seconds, base_dir, progress, sample_rate, block_frames))


async def _render(
    document: Any,
    seconds: float,
    base_dir: Path,
    progress: Callable[[float], None],
    sample_rate: int,
    block_frames: int,
) -> dict[str, Any]:
    # Whoever renders runs with their own rights already: any file that they name will do.
    media = MediaRoots(play_roots=(base_dir, Path("/")), record_root=base_dir, record_anywhere=True)
    session = Session(sample_rate=sample_rate, block_frames=block_frames, clock="step", media=media, offline=True)
    try:
        await session.load(document, caller=Caller("render", "admin", "offline"), fade_ms=0.0)
        await session.runtime.start()
        left = -(-round(seconds * sample_rate) // block_frames)
        while left > 0:
            blocks = min(left, BLOCKS_PER_STEP)
            await session.runtime.step(blocks)
            left -= blocks
            progress(session.engine.frame / sample_rate)
        await session.runtime.stop()
        frames = session.engine.frame
        files = {
            node["id"]: {
                "type": node["type"],
                "state": node["state"] if node["state"] in TROUBLED else "done",
                "message": node["state_message"],
                **node["detail"],
            }
            for node in session.view()["nodes"]
            if "detail" in node
        }
    finally:
        await session.close()
    return {"frames": frames, "seconds": frames / sample_rate, "sample_rate": sample_rate, "nodes": files}
