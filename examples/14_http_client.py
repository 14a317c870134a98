"""Watches the running demo over HTTP while it changes it: events and live levels come over two WebSockets.

With ./dev run going in another terminal:

    .venv/bin/python examples/14_http_client.py [http://127.0.0.1:8420]
"""

from __future__ import annotations

import asyncio
import json
import sys

import aiohttp

URL = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8420"


async def main() -> None:
    async with (
        aiohttp.ClientSession(URL) as http,
        http.ws_connect("/api/ws/graph") as events,
        http.ws_connect("/api/ws/monitoring?rate=20&nodes=drone") as levels,
    ):
        await http.patch("/api/graph/nodes/drone", json={"config": {"level_db": -18}, "fade_ms": 100})
        async for message in events:
            event = json.loads(message.data)
            print(event["method"], {key: event["params"].get(key) for key in ("revision", "author", "frame")})
            if event["method"] == "transaction_applied":
                break
        for _ in range(10):
            figures = json.loads(await levels.receive_str())
            peak = figures["meters"]["drone"]["peak_db"][0]
            print(f"frame {figures['frame']}: the drone is at {peak} dBFS, load {100 * figures['load']:.1f} %")
        async with http.post("/api/history/undo", json={}) as answer:
            print("undone:", (await answer.json())["revision"])


if __name__ == "__main__":
    asyncio.run(main())
