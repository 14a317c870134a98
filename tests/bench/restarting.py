"""A restart as it is heard: how long a card that plays on by itself gets no sound, from the end of the old process's fade
to the first block of the new one."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..alsa.virtual_card import VirtualCard
from . import graphs
from .process import daemon, settings

RATE = 48_000
KEPT = 1 << 20  # frames that the card remembers: 22 s
PATIENCE_S = 20.0  # less than the card remembers
SILENCE = 1e-7  # the tones of the graph are louder by far, and all at once at zero for no time
SETTLED_S = 0.5  # of sound on either side, so that no hole but the restart's is measured


async def restarted(nodes: int, times: int) -> list[dict[str, Any]]:
    """The median of so many restarts, and the longest."""
    holes = []
    with tempfile.TemporaryDirectory(prefix="tz-card-") as folder:
        card = VirtualCard(Path(folder), frames_kept=KEPT)
        before = os.environ.get("ALSA_CONFIG_PATH")
        os.environ |= card.environment
        try:
            async with daemon(_as_out_of_the_box(nodes, card.device)) as made:
                for _ in range(times):
                    await _sounds(card, card.frame())
                    first = card.frame() - int(SETTLED_S * RATE)
                    await made.end()
                    await made.start_again()
                    await _sounds(card, card.frame())
                    holes.append(_hole(card, first))
        finally:
            del os.environ["ALSA_CONFIG_PATH"]
            if before is not None:
                os.environ["ALSA_CONFIG_PATH"] = before
            card.close()
    return [
        {
            "name": f"{nodes:,} nodes, silence between the old process and the new",
            "nodes": nodes,
            "seconds": float(np.median(holes)),
            "worst_s": max(holes),
        }
    ]


def _as_out_of_the_box(nodes: int, device: str) -> dict[str, Any]:
    """With a card to play to, and the HTTP door, which has the most to make ready."""
    graph = graphs.document(nodes - 1)
    graph["nodes"].append({"id": "card", "type": "alsa_output", "config": {"device": device}})
    graph["connections"].append({"source": "mix.out", "target": "card.in"})
    made = settings(graph)
    made["doors"]["http"] = {"listen": "127.0.0.1:0"}
    return made


async def _sounds(card: VirtualCard, since: int) -> None:
    """Until the card has had sound without a hole for a while after a frame."""
    frames = int(SETTLED_S * RATE)
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        now = card.frame()
        if now - frames > since and _longest_silence(card, now - frames, frames) < RATE // 100:
            return
        await asyncio.sleep(0.02)
    raise SystemExit(f"The card got no steady sound within {PATIENCE_S:g} s.")


def _hole(card: VirtualCard, first: int) -> float:
    return _longest_silence(card, first, card.frame() - first) / RATE


def _longest_silence(card: VirtualCard, first: int, frames: int) -> int:
    samples, live = card.played(first, frames)
    sounding = live & (np.abs(samples).max(axis=0) > SILENCE)
    edges = np.concatenate(([-1], np.flatnonzero(sounding), [frames]))
    return int(np.diff(edges).max()) - 1
