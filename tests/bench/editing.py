"""Edits: how many a second, with how many late blocks, and how long from a request until it sounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import numpy as np

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.graph.document import edits_from_plain
from tonnetz.daemon.session import Session

from . import graphs
from .patch import BLOCK_NS
from .process import daemon, demo_settings, settings

CALLER = Caller("bench", "admin", "bench")
CLIENTS = 8
AT_A_TIME = 8  # with one at a time, eight callers could have no more than eight edits adopted in a block
CROWD_NODES = 100
PRIORITY = 70  # as the daemon asks for
PATIENCE_S = 5.0  # for the requests of one size of graph

Edit = dict[str, Any]
Apply = Callable[[Edit], Awaitable[Any]]
LateBlocks = Callable[[], Awaitable[int]]
CpuSeconds = Callable[[], float]


@asynccontextmanager
async def session() -> AsyncIterator[Session]:
    """A running session of CROWD_NODES nodes in this process."""
    made = Session(realtime_priority=PRIORITY)
    try:
        await made.load(graphs.document(CROWD_NODES), caller=CALLER, fade_ms=0)
        await made.runtime.start()
        yield made
    finally:
        await made.close()


async def crowd(
    kind: str, applies: list[Apply], late_blocks: LateBlocks, cpu_s: CpuSeconds, seconds: float
) -> dict[str, float]:
    """All of them edit as fast as they are answered. Late blocks are counted in a quiet time of the same length too.
    `cpu_s` tells what the process with the session has taken: it counts where others keep the machine busy."""
    quiet = await late_blocks()
    await asyncio.sleep(seconds)
    before = await late_blocks()
    counts = [0] * len(applies)
    cpu_before = cpu_s()
    begin = time.monotonic()

    async def one(number: int, apply: Apply) -> None:
        for edit in graphs.EDITS[kind](CROWD_NODES, number):
            await apply(edit)
            counts[number] += 1
            if time.monotonic() - begin > seconds and edit["op"] != "connect":  # leaves the graph as it was
                return

    await asyncio.gather(*(one(number, apply) for number, apply in enumerate(applies)))
    taken = time.monotonic() - begin
    cpu = cpu_s() - cpu_before
    return {
        "edits_per_s": sum(counts) / taken,
        "cpu_ms_per_edit": 1e3 * cpu / sum(counts),
        "late_blocks": await late_blocks() - before,
        "late_blocks_quiet": before - quiet,
    }


async def crowds_in_process(seconds: float) -> list[dict[str, Any]]:
    """CLIENTS callers of Session.apply, each with AT_A_TIME edits under way."""
    rows = []
    async with session() as made:

        async def apply(edit: Edit) -> None:
            await made.apply(edits_from_plain([edit]), caller=CALLER)

        async def late_blocks() -> int:
            return made.engine.status().late_blocks

        for kind in graphs.EDITS:
            found = await crowd(kind, [apply] * (CLIENTS * AT_A_TIME), late_blocks, time.process_time, seconds)
            rows.append({"name": f"{kind} edits, Session.apply, {CLIENTS} callers × {AT_A_TIME}", **found})
    return rows


async def crowds_over_socket(seconds: float) -> list[dict[str, Any]]:
    """CLIENTS clients of a daemon; over one connection each, requests are answered one after the other."""
    rows = []
    async with daemon(settings(graphs.document(CROWD_NODES))) as made:
        onlooker = await made.asker()

        async def late_blocks() -> int:
            return int((await onlooker.ask("runtime.status"))["late_blocks"])

        async def applier() -> Apply:
            asker = await made.asker()
            return lambda edit: asker.ask("graph.apply", edits=[edit])

        for connections in (1, 4):
            for kind in graphs.EDITS:
                applies = [await applier() for _ in range(CLIENTS * connections)]
                found = await crowd(kind, applies, late_blocks, made.cpu_s, seconds)
                rows.append({"name": f"{kind} edits, socket, {CLIENTS} clients × {connections}", **found})
    return rows


async def applied(nodes: int, requests: int) -> list[dict[str, Any]]:
    """One client of a daemon, one request after the other: from its sending to the block in which it sounds first, by the
    receipt's time."""
    rows = []
    async with daemon(settings(graphs.document(nodes))) as made:
        asker = await made.asker()
        for kind, edits in graphs.EDITS.items():
            waits_ms, answers_ms = [], []
            end = time.monotonic() + PATIENCE_S
            for edit in edits(nodes, 0):
                if len(waits_ms) == requests or (len(waits_ms) >= 10 and time.monotonic() > end):
                    break
                await asyncio.sleep(0.001 * (len(waits_ms) % 7))  # not in step with the blocks
                sent_ns = time.time_ns()
                receipt = await asker.ask("graph.apply", edits=[edit])
                answers_ms.append((time.time_ns() - sent_ns) / 1e6)
                waits_ms.append(datetime.fromisoformat(receipt["time"]).timestamp() * 1e3 - sent_ns / 1e6)
            p50, p99 = np.percentile(waits_ms, [50, 99])
            rows.append(
                {
                    "name": f"{kind} edit, {nodes:,} nodes",
                    "nodes": nodes,
                    "requests": len(waits_ms),
                    "p50_ms": float(p50),
                    "p99_ms": float(p99),
                    "p50_blocks": float(p50) / BLOCK_NS * 1e6,
                    "p99_blocks": float(p99) / BLOCK_NS * 1e6,
                    "answered_p50_ms": float(np.median(answers_ms)),
                }
            )
    return rows


async def idle(seconds: float) -> dict[str, Any]:
    """What the demo's daemon takes of a core while nobody talks to it."""
    async with daemon(demo_settings()) as made:
        await asyncio.sleep(1.0)  # its files are open by then
        made.hang_up()
        cpu, begin = made.cpu_s(), time.monotonic()
        await asyncio.sleep(seconds)
        taken = made.cpu_s() - cpu
        return {"name": "idle daemon with the demo's graph", "percent": 100 * taken / (time.monotonic() - begin)}
