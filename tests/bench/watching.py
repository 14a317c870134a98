"""A crowd that watches live levels over WebSockets: what it takes of the daemon."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import aiohttp

from .process import Daemon, daemon, demo_settings

CLIENTS = 100
RATE = 30  # looks a second, for each
SETTLED_S = 1.0  # until all are connected and have been sent something


async def watched(seconds: float) -> list[dict[str, Any]]:
    """The demo's daemon with so many clients, in JSON and in binary. Its share of a core is all that it takes, sound
    included; the clients are in this process."""
    rows = []
    settings = demo_settings()
    address = free_address()
    settings["doors"]["http"] = {"listen": address}
    async with daemon(settings) as made, aiohttp.ClientSession(f"http://{address}") as http:
        for kind in ("json", "binary"):
            frames, percent = await _crowd(http, made, kind, seconds)
            name = f"{CLIENTS} clients, levels at {RATE} Hz in {'JSON' if kind == 'json' else 'JSON and binary frames'}"
            rows.append({"name": name, "kind": kind, "frames_per_s": frames, "percent": percent})
    return rows


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def _crowd(http: aiohttp.ClientSession, made: Daemon, kind: str, seconds: float) -> tuple[float, float]:
    heard = 0

    async def listen() -> None:
        nonlocal heard
        async with http.ws_connect(f"/api/ws/monitoring?rate={RATE}&meters={kind}") as client:
            async for _ in client:
                heard += 1

    listening = [asyncio.create_task(listen()) for _ in range(CLIENTS)]
    await asyncio.sleep(SETTLED_S)
    cpu, begin, before = made.cpu_s(), time.monotonic(), heard
    await asyncio.sleep(seconds)
    taken, passed = made.cpu_s() - cpu, time.monotonic() - begin
    frames = (heard - before) / passed
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    return frames, 100 * taken / passed
