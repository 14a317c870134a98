"""Graphs of any size to edit, and the edits."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

MOST_CHAINS = 100  # what a mixer takes


def document(nodes: int) -> dict[str, Any]:
    """So many nodes: tones through chains of gains into one mixer, of which nobody hears anything."""
    chains = _chains(nodes)
    gains = nodes - chains - 2
    made: list[dict[str, Any]] = [
        {"id": "mix", "type": "mixer", "config": {"inputs": [{"gain_db": -60}] * chains}},
        {"id": "end", "type": "null_output"},
    ]
    wires = [("mix.out", "end.in")]
    for chain in range(chains):
        last = f"tone_{chain}"
        made.append({"id": last, "type": "tone", "config": {"frequency": 100 + chain, "channels": 1}})
        for gain in range(chain, gains, chains):
            made.append({"id": f"gain_{gain}", "type": "gain"})
            wires.append((f"{last}.out", f"gain_{gain}.in"))
            last = f"gain_{gain}"
        wires.append((f"{last}.out", f"mix.in_{chain + 1}"))
    connections = [{"source": source, "target": target} for source, target in wires]
    return {"version": 1, "nodes": made, "connections": connections}


def _chains(nodes: int) -> int:
    return min(MOST_CHAINS, max(1, nodes // 12))


def parameter_edits(nodes: int, client: int) -> Iterator[dict[str, Any]]:
    """Turns one gain, another for each client, for ever."""
    gain = f"gain_{client % (nodes - _chains(nodes) - 2)}"
    for step in itertools.cycle(range(60)):
        yield {"op": "configure_node", "id": gain, "config": {"gain_db": -step / 10}}


def structure_edits(nodes: int, client: int) -> Iterator[dict[str, Any]]:
    """Connects a tone to one more input and takes it away again, for ever."""
    chains = _chains(nodes)
    target = (client + client // chains + 1) % chains  # up to chains² clients, each with a wire of its own
    wire = {"source": f"tone_{client % chains}.out", "target": f"mix.in_{target + 1}"}
    while True:
        yield {"op": "connect", **wire}
        yield {"op": "disconnect", **wire}


EDITS = {"parameter": parameter_edits, "structure": structure_edits}
