"""`/metrics`: the daemon's figures in the text format of Prometheus, version 0.0.4.

Written out by hand: the format is lines of text, and every figure is counted elsewhere already. A client library would
count them a second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STATES = ("running", "paused", "stopped")
Sample = tuple[Mapping[str, str], float]


def metrics_text(session: Session, websockets: int) -> str:
    """All of it."""
    now = session.runtime.performance()
    listeners: list[Sample] = [({}, session.events.listeners)]
    refusing = int(session.keeping.status.state == "refusing")
    lines: list[str] = []
    for family in (
        _family("engine_state", "gauge", "1 for the state that the engine is in.", _states(now["state"])),
        _gauge("engine_load_ratio", "Share of a block's time that processing takes, on average.", now["load"]),
        _gauge("engine_sample_rate_hertz", "Frames per second.", now["sample_rate"]),
        _gauge("engine_block_frames", "Frames in a block.", now["block_frames"]),
        _counter("engine_blocks_total", "Blocks played.", now["blocks"]),
        _counter("engine_frames_total", "Frames played.", now["frame"]),
        _counter("engine_late_blocks_total", "Blocks that were done after their time.", now["late_blocks"]),
        _counter("engine_gaps_total", "Times that the machine held the audio thread up for long.", now["gaps"]),
        _counter("engine_gap_frames_total", "Frames of time that passed unplayed in gaps.", now["gap_frames"]),
        _counter("engine_commits_total", "Changes that the audio thread has carried out.", now["commits"]),
        _counter("engine_faults_total", "Blocks of nodes that were muted for NaN or infinity.", now["faults"]),
        _lateness(now["lateness_us"]),
        _gauge("graph_revision", "The graph's revision.", session.revision),
        _gauge("graph_nodes", "Nodes in the graph.", len(session.graph.nodes)),
        _gauge("graph_connections", "Connections in the graph.", len(session.graph.connections)),
        _nodes(now["nodes"], "node_busy_seconds", "What a node takes of a block, on average.", "average_ns"),
        _nodes(now["nodes"], "node_busy_maximum_seconds", "What a node took of a block at most.", "maximum_ns"),
        _faults(now["nodes"]),
        _family("node_trouble", "gauge", "1 for every node that is not running, by its state.", _troubles(session)),
        _gauge("storage_refusing", "1 while nothing can be stored, and so nothing be changed.", refusing),
        _family("event_listeners", "gauge", "Connections that are told events.", listeners),
        _gauge("websockets", "Open WebSockets.", websockets),
    ):
        lines += family
    return "\n".join(lines) + "\n"


def metrics_response(session: Session, websockets: int) -> web.Response:
    return web.Response(body=metrics_text(session, websockets).encode(), headers={"Content-Type": CONTENT_TYPE})


def _gauge(name: str, help: str, value: float) -> Iterator[str]:
    return _family(name, "gauge", help, [({}, value)])


def _counter(name: str, help: str, value: float) -> Iterator[str]:
    return _family(name, "counter", help, [({}, value)])


def _family(name: str, kind: str, help: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP tonnetz_{name} {help}"
    yield f"# TYPE tonnetz_{name} {kind}"
    for labels, value in samples:
        yield _line(name, labels, value)


def _line(name: str, labels: Mapping[str, str], value: float) -> str:
    """Ids and states need no quoting: they are plain words by their patterns."""
    words = ",".join(f'{key}="{word}"' for key, word in labels.items())
    return f"tonnetz_{name}{{{words}}} {value!r}" if words else f"tonnetz_{name} {value!r}"


def _states(state: str) -> Iterator[Sample]:
    return (({"state": one}, int(one == state)) for one in STATES)


def _troubles(session: Session) -> Iterator[Sample]:
    return (({"node": one["id"], "state": one["state"]}, 1) for one in session.troubles())


def _nodes(nodes: Mapping[str, Any], name: str, help: str, key: str) -> Iterator[str]:
    return _family(name, "gauge", help, (({"node": id}, cost[key] / 1e9) for id, cost in nodes.items()))


def _faults(nodes: Mapping[str, Any]) -> Iterator[str]:
    samples = (({"node": id}, cost["faults"]) for id, cost in nodes.items())
    return _family("node_faults_total", "counter", "Blocks muted for NaN or infinity.", samples)


def _lateness(buckets: Mapping[str, int]) -> Iterator[str]:
    """As a histogram. The sum is not counted; the middles of the buckets stand for it."""
    name = "engine_wake_lateness_seconds"
    yield f"# HELP tonnetz_{name} How late blocks began. The sum is an estimate."
    yield f"# TYPE tonnetz_{name} histogram"
    total, estimate = 0, 0.0
    for bucket, count in buckets.items():
        limit = int(bucket.lstrip("<"))
        total += count
        estimate += count * 0.75e-6 * limit
        yield _line(f"{name}_bucket", {"le": repr(limit / 1e6)}, total)
    yield _line(f"{name}_bucket", {"le": "+Inf"}, total)
    yield _line(f"{name}_sum", {}, estimate)
    yield _line(f"{name}_count", {}, total)
