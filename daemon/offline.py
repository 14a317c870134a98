"""Rendering a graph without a daemon: as fast as the machine can, on the step clock, sample for sample what would
have played."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .caller import Caller
from .endpoints.endpoint import MediaRoots
from .node_catalogue import load_catalogue
from .preparation import Request, submit, work_out
from .session import Session
from .storage.replaying import recorded_run

CALLER = Caller("render", "admin", "offline")
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
    session = _session(sample_rate, block_frames, base_dir)
    try:
        await session.load(document, caller=CALLER, fade_ms=0.0)
        await session.runtime.start()
        await _play(session, round(seconds * sample_rate), progress)
        return await _ended(session)
    finally:
        await session.close()


def replay(
    folder: Path,
    seconds: float | None,
    base_dir: Path,
    progress: Callable[[float], None] = lambda _: None,
    *,
    number: int | None = None,
) -> dict[str, Any]:
    """Plays a run of a daemon again, from the journal in its storage's folder: every transaction at its frame, worked
    out when it was worked out then, and so, with sources that always sound the same, the same samples, bit for bit.
    Else as `render`.

    `number` is that of the run, the newest unless given; without `seconds` it ends a second after the last transaction.
    """
    return asyncio.run(_replay(folder, seconds, base_dir, progress, number))


async def _replay(
    folder: Path, seconds: float | None, base_dir: Path, progress: Callable[[float], None], number: int | None
) -> dict[str, Any]:
    run = recorded_run(folder, load_catalogue()[0], number)
    session = _session(run.sample_rate, run.block_frames, base_dir)
    last = max((entry.frame or 0 for entry in run.entries), default=0)
    end = last + run.sample_rate if seconds is None else round(seconds * run.sample_rate)
    try:
        session.resume(run.graph, run.revision)
        await session.runtime.pause()
        for entry in run.entries:
            if (entry.frame or 0) > end:
                break
            frame = entry.frame or 0
            await _play(session, frame if entry.known is None else entry.known, progress)
            request = Request(edits=entry.edits, caller=CALLER, fade_ms=entry.options.get("fade_ms"))
            worked = work_out(session, request, session.standing)
            submit(session, worked, frame)
            session.enter(worked, frame)
        await _play(session, end, progress)
        return {"run": run.number, "transactions": len(run.entries), **await _ended(session)}
    finally:
        await session.close()


def _session(sample_rate: int, block_frames: int, base_dir: Path) -> Session:
    # Whoever renders runs with their own rights already: any file that they name will do.
    media = MediaRoots(play_roots=(base_dir, Path("/")), record_root=base_dir, record_anywhere=True)
    return Session(sample_rate=sample_rate, block_frames=block_frames, clock="step", media=media, offline=True)


async def _play(session: Session, until: int, progress: Callable[[float], None]) -> None:
    """Runs blocks until this frame is reached, or passed."""
    engine = session.engine
    while (left := -(-(until - engine.frame) // engine.block_frames)) > 0:
        await session.runtime.step(min(left, BLOCKS_PER_STEP))
        progress(engine.frame / engine.sample_rate)


async def _ended(session: Session) -> dict[str, Any]:
    """Stops, and tells what became of everything."""
    await session.runtime.stop()
    frames, sample_rate = session.engine.frame, session.engine.sample_rate
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
    return {"frames": frames, "seconds": frames / sample_rate, "sample_rate": sample_rate, "nodes": files}
