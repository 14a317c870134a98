"""Like nodes of a level are worked on in one call, in shared vectors where a type knows how: each sounds, bit for bit, as it does alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tonnetz.daemon.engine.core import CoreCommit, CoreEngine, CoreLink, CoreNode, CorePlan, Route
from tonnetz.daemon.engine.ring import Ring
from tonnetz.daemon.graph.config import flatten

from ..rig import RATE, Samples, catalogue, configured

BLOCK = 128
BLOCKS = 12
RETUNED_AT = 4  # the block before which some nodes begin to glide

Config = dict[str, Any]


def bands(count: int, seed: int) -> list[Config]:
    chance = np.random.default_rng(seed)
    return [
        {"type": "peaking", "frequency": float(f), "gain_db": float(g), "q": 1.5}
        for f, g in zip(chance.uniform(100, 8000, count), chance.uniform(-9, 9, count), strict=True)
    ]


def equalizer(count: int, seed: int) -> Config:
    return {"bands": bands(count, seed), "gain_db": [0.0, -3.0][seed % 2]}


def compressor(seed: int) -> Config:
    return {
        "threshold_db": -30.0 - seed,
        "ratio": 2.0 + seed,
        "attack_ms": 1.0 + seed,
        "detector": ["peak", "rms"][seed % 2],
    }


def played(node_type: str, configs: list[Config], retuned: list[Config], sounds: list[Samples]) -> list[Samples]:
    """What nodes of one type, in one plan, make of a sound each. Those with another configuration glide to it."""
    spec = catalogue()[node_type]
    engine = CoreEngine(RATE, BLOCK, "step")
    nodes: list[CoreNode] = []
    routes: list[Route] = []
    heard = []

    def add(core_type: str, inputs: list[int], outputs: list[int], values: Any, **more: Any) -> int:
        shape: Any = {"sample_rate": RATE, "block_frames": BLOCK, "inputs": inputs, "outputs": outputs}
        nodes.append(CoreNode(core_type, **shape, values=values, **more))
        return len(nodes) - 1

    subjects = []
    for config, sound in zip(configs, sounds, strict=True):
        given = Ring(*sound.shape)
        given.write(sound)
        heard.append(Ring(*sound.shape))
        width = sound.shape[0]
        values, count = flatten(spec, configured(node_type, config))
        more = [1] if node_type == "compressor" else []
        source = add("ring_source", [], [width], [0.0], ring=given)
        subjects.append(add(node_type, [width, *([2] if more else [])], [width, *more], values, list_count=count))
        sink = add("ring_sink", [width], [], [], ring=heard[-1])
        routes += [Route(CoreLink(True), a, 0, b, 0, False) for a, b in ((source, subjects[-1]), (subjects[-1], sink))]
    engine.submit(CoreCommit(1, CorePlan(nodes, routes, BLOCK)))
    engine.start()
    engine.step(RETUNED_AT, 1000)
    commit = CoreCommit(2, None)
    for subject, before, after in zip(subjects, configs, retuned, strict=True):
        if after is not before:
            commit.set(nodes[subject], flatten(spec, configured(node_type, after))[0], 200)
    engine.submit(commit)
    engine.step(BLOCKS - RETUNED_AT, 1000)
    return [ring.read(BLOCKS * BLOCK) for ring in heard]


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize(
    "configs",
    [
        *(
            pytest.param([equalizer(n, seed) for seed in range(9)], id=f"equalizers of {n}")
            for n in (1, 2, 3, 4, 5, 8, 9, 32)
        ),
        *(pytest.param([compressor(seed) for seed in range(n)], id=f"{n} compressors") for n in (2, 4, 7, 9)),
    ],
)
def test_side_by_side_as_alone(configs: list[Config], channels: int) -> None:
    node_type = "equalizer" if "bands" in configs[0] else "compressor"
    chance = np.random.default_rng(1)
    sounds = [chance.uniform(-0.5, 0.5, (channels, BLOCKS * BLOCK)).astype(np.float32) for _ in configs]
    another = [equalizer(len(c["bands"]), 50) if "bands" in c else compressor(20) for c in configs]
    retuned = [new if n % 3 == 1 else old for n, (old, new) in enumerate(zip(configs, another, strict=True))]
    together = played(node_type, configs, retuned, sounds)
    for number, sound in enumerate(sounds):
        (alone,) = played(node_type, [configs[number]], [retuned[number]], [sound])
        assert np.abs(alone).max() > 0.01
        assert np.array_equal(together[number], alone), f"number {number}"
