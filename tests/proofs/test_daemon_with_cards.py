"""The daemon as a process with sound cards: the configuration names its clock, edits come as fast as they can, and what the card that is
the clock plays is whole, as far as its counters say so."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tonnetz.rpc.client import Client

from ..alsa.virtual_card import VirtualCard
from .tonnetzd import PATIENCE_S, RATE, Daemon, until_frame


@pytest.fixture
def start(daemon: Daemon) -> Iterator[Callable[..., Client]]:
    """Starts a daemon with a tone on the card `out`, and what it captures from the card `mic` on nothing."""

    def begin(clock: str, mic: VirtualCard, out: VirtualCard) -> Client:
        nodes = [
            {"id": "tone", "type": "tone", "config": {"frequency": 1000, "level_db": -6}},
            {"id": "level", "type": "gain"},
            {"id": "out", "type": "alsa_output", "config": {"device": out.device}},
            {"id": "mic", "type": "alsa_input", "config": {"device": mic.device}},
        ]
        wires = [{"source": "tone.out", "target": "level.in"}, {"source": "level.out", "target": "out.in"}]
        engine = {"sample_rate": RATE, "block_frames": 256, "clock": clock, "realtime_priority": 0}
        return daemon.start(engine=engine, graph={"version": 1, "nodes": nodes, "connections": wires})

    yield begin
    status, said = daemon.end(signal.SIGTERM)
    assert status == 0 and "Traceback" not in said, said


def clock_of(client: Any) -> str:
    clock: str = client.call("runtime.status")["clock"]
    return clock


def becomes(client: Any, clock: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while clock_of(client) != clock:
        assert time.monotonic() < end, f"the clock is {clock_of(client)}, not {clock}"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("setting", "clock"), [("auto", "out"), ("mic", "mic"), ("internal", "internal"), ("nobody", "internal")]
)
def test_the_configuration_names_the_clock(
    start: Callable[..., Client], make_card: Callable[..., VirtualCard], setting: str, clock: str
) -> None:
    with start(setting, make_card("mic"), make_card("out")) as client:
        becomes(client, clock)
        until_frame(client, client.call("runtime.status")["frame"] + RATE // 4)


def test_a_card_plays_on_through_a_storm_of_edits(
    start: Callable[..., Client], make_card: Callable[..., VirtualCard]
) -> None:
    out = make_card("out")
    with start("auto", make_card("mic"), out) as client:
        becomes(client, "out")
        before = detail(client)
        begin = out.frame()
        for number in range(300):
            client.call("graph.add_node", type="delay", id=f"echo_{number}", config={"mix": 0.5})
            client.call("graph.connect", source="tone.out", target=f"echo_{number}.in")
            client.call("graph.remove_node", id=f"echo_{number}")
        frames = out.frame() - begin
        counted = {name: detail(client)[name] - before[name] for name in ("xruns", "silent_frames", "resyncs")}
        seen = min(frames, 1 << 16) - 4096
        played, live = out.played(begin + frames - 2048 - seen, seen)
        steps = np.abs(np.diff(played[0], 2))
        breaks = int((steps > 1.02 * 10 ** (-6 / 20) * (2 * np.pi / 48) ** 2).sum()) + int((~live).sum())
        assert np.abs(played[0]).max() > 0.4
        assert breaks == 0 or any(counted.values()), f"{breaks} breaks are heard, and none is counted"


def detail(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = next(node for node in client.call("graph.get")["nodes"] if node["id"] == "out")["detail"]
    return found
