"""Sweeps an equalizer band of the running demo up and down, in Python.

With ./dev run going in another terminal:

    TONNETZ_SOCKET=.demo/control.sock .venv/bin/python examples/11_client.py
"""

from __future__ import annotations

import math
import time

from tonnetz.rpc.client import Client

STEPS = 40
PAUSE_S = 0.05  # shorter than the ramp that a node makes of each change, so the sweep has no steps


def main() -> None:
    with Client() as tonnetz:
        for step in range(STEPS + 1):
            frequency = 400 * 2 ** (2 + 2 * math.cos(2 * math.pi * step / STEPS))  # 6400 Hz, down to 400, and back
            receipt = tonnetz.call("graph.configure_node", id="eq", config={"bands": {"1": {"frequency": frequency}}})
            time.sleep(PAUSE_S)
        print(f"Swept to {frequency:.0f} Hz: revision {receipt['revision']}, in force since frame {receipt['frame']}.")


if __name__ == "__main__":
    main()
