"""Plans against arithmetic: what a random graph of gains, mixers and sinks gives is, bit for bit, what numpy makes of it.

The oracle adds in the order of the routes, in float32, so not one bit is left to tolerance. Factors and fades are first
measured in graphs of one node, where nothing can go wrong with buffers: here it is about which samples meet where. Buffers are
shared between steps, so taps sit on some outputs only: what nobody hears is overwritten as soon as can be.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tonnetz.daemon.engine.core import CoreCommit, CoreEngine, CoreLink, CoreNode, CorePlan, Route
from tonnetz.daemon.engine.ring import Ring
from tonnetz.daemon.graph.config import flatten

from ..rig import RATE, Samples, catalogue, configured
from .arithmetic import gain_factor, mapped, strip_factors

BLOCKS_PER_WIRING = 3
GAINS = ({}, {"gain_db": -6.0}, {"gain_db": 3.3}, {"invert": True, "gain_db": -17.25}, {"mute": True})
STRIPS = ({}, {"gain_db": -4.5}, {"pan": -0.3}, {"pan": 1.0, "gain_db": 2.0}, {"mute": True}, {"solo": True})


@dataclass(frozen=True)
class Member:
    """A node of a random graph. `inputs` and `outputs`: channels per port."""

    core_type: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cord:
    """A connection. `fade`: frames in which it comes (above 0) or goes (below 0) while this wiring lasts, None: it is steady."""

    source: int
    target: int
    target_port: int
    fade: int | None = None


@dataclass(frozen=True)
class Case:
    block: int
    members: tuple[Member, ...]  # connections lead from earlier to later ones
    wirings: tuple[tuple[Cord, ...], ...]  # each lasts some blocks
    order: tuple[int, ...]  # in which the core is given the nodes


# ---- Random graphs -------------------------------------------------------------------------------------------------

WIDTH = st.sampled_from((1, 2))


@st.composite
def members(draw: st.DrawFn) -> Member:
    kind = draw(st.sampled_from(("ring_source", "gain", "gain", "mixer", "mixer", "tap", "null_output")))
    width = draw(WIDTH)
    match kind:
        case "ring_source":
            return Member(kind, (), (width,))
        case "gain":  # its control input stays open
            return Member(kind, (width, 1), (width,), draw(st.sampled_from(GAINS)))
        case "mixer":
            strips = draw(st.lists(st.sampled_from(STRIPS), min_size=1, max_size=5))
            widths = tuple(draw(WIDTH) for _ in strips)
            return Member(kind, widths, (2,), {"inputs": strips, "gain_db": draw(st.sampled_from((0.0, -1.5)))})
        case "tap":
            return Member("ring_sink", (width,), ())
    return Member(kind, (width,), ())


@st.composite
def wirings(draw: st.DrawFn, nodes: Sequence[Member]) -> tuple[Cord, ...]:
    cords = []
    for number, node in enumerate(nodes):
        sources = [earlier for earlier in range(number) if nodes[earlier].outputs]
        for port in range(1 if node.core_type == "gain" else len(node.inputs)):
            chosen = draw(st.lists(st.sampled_from(sources), max_size=4, unique=True)) if sources else []
            for source in chosen:
                fade = draw(st.one_of(st.none(), st.none(), st.integers(1, 200), st.integers(-200, -1)))
                cords.append(Cord(source, number, port, fade))
    return tuple(draw(st.permutations(cords)))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    sources = draw(st.lists(WIDTH, min_size=1, max_size=3))
    nodes = [Member("ring_source", (), (width,)) for width in sources]
    nodes += draw(st.lists(members(), min_size=1, max_size=12))
    nodes.append(Member("ring_sink", (draw(WIDTH),), ()))
    return Case(
        block=draw(st.sampled_from((1, 16, 17, 64, 100))),
        members=tuple(nodes),
        wirings=tuple(draw(st.lists(wirings(nodes), min_size=1, max_size=3))),
        order=tuple(draw(st.permutations(range(len(nodes))))),
    )


# ---- The oracle ----------------------------------------------------------------------------------------------------


@functools.cache
def fade_gains(fade: int, frames: int) -> Samples:
    """A link that comes in `fade` frames, or goes in -`fade`: its gain in each frame."""
    ring, heard = Ring(1, frames), Ring(1, frames)
    ring.write(np.ones((1, frames), np.float32))
    source, sink = new_node(Member("ring_source", (), (1,)), frames, ring), new_node(SINK, frames, heard)
    link = CoreLink(fade < 0)
    engine = CoreEngine(RATE, frames, "step")
    commit = CoreCommit(1, CorePlan([source, sink], [Route(link, 0, 0, 1, 0, True)], frames))
    commit.fade(link, fade > 0, abs(fade))
    engine.submit(commit)
    engine.step(1, 1000)
    return heard.read(frames)[0]


SINK = Member("ring_sink", (1,), ())


def joined(cords: Sequence[Cord], sounds: Mapping[int, Samples], width: int, frames: int) -> Samples:
    total = np.zeros((width, frames), np.float32)
    for cord in cords:
        sound = mapped(sounds[cord.source], width)
        if cord.fade is not None:
            sound = sound * fade_gains(cord.fade, frames)
        total = total + sound
    return total


def mixed(node: Member, inputs: Sequence[Samples | None], frames: int) -> Samples:
    total = np.zeros((2, frames), np.float32)
    for number, sound in enumerate(inputs):
        if sound is None:
            continue
        factors = strip_factors(json.dumps(node.config), number, node.inputs[number])
        for side in range(2):
            if factors[side] != 0:
                total[side] = total[side] + sound[side if len(sound) == 2 else 0] * factors[side]
    return total


def expected(case: Case, wiring: Sequence[Cord], given: Mapping[int, Samples], frames: int) -> dict[int, Samples]:
    """What every node gives out, and every tap hears, while a wiring lasts."""
    sounds = dict(given)
    for number, node in enumerate(case.members):
        inputs: list[Samples | None] = []
        for port, width in enumerate(node.inputs):
            cords = [cord for cord in wiring if (cord.target, cord.target_port) == (number, port)]
            inputs.append(joined(cords, sounds, width, frames) if cords else None)
        silence = np.zeros((node.inputs[0], frames), np.float32) if node.inputs else None
        if node.core_type == "gain":
            heard = inputs[0] if inputs[0] is not None else silence
            sounds[number] = heard * gain_factor(json.dumps(node.config))
        elif node.core_type == "mixer":
            sounds[number] = mixed(node, inputs, frames)
        elif node.core_type == "ring_sink":
            sounds[number] = inputs[0] if inputs[0] is not None else silence
    return sounds


# ---- The core ------------------------------------------------------------------------------------------------------


def new_node(member: Member, block: int, ring: Ring | None = None) -> CoreNode:
    values, count = [0.0], 0
    if member.core_type in catalogue():
        spec = catalogue()[member.core_type]
        values, count = flatten(spec, configured(member.core_type, member.config))
    return CoreNode(
        member.core_type,
        sample_rate=RATE,
        block_frames=block,
        inputs=member.inputs,
        outputs=member.outputs,
        values=values,
        list_count=count,
        ring=ring,
    )


def played(case: Case, sounds: Mapping[int, Samples]) -> list[dict[int, Samples]]:
    """What the taps hear in each wiring, one plan after the other over the same nodes."""
    frames = case.block * BLOCKS_PER_WIRING
    rings = {
        number: Ring((*node.inputs, *node.outputs)[0], frames * len(case.wirings))
        for number, node in enumerate(case.members)
        if node.core_type.startswith("ring_")
    }
    nodes = [new_node(node, case.block, rings.get(number)) for number, node in enumerate(case.members)]
    for number, sound in sounds.items():
        assert rings[number].write(sound) == sound.shape[1]
    place = {number: at for at, number in enumerate(case.order)}
    engine = CoreEngine(RATE, case.block, "step")
    heard = []
    for count, wiring in enumerate(case.wirings, start=1):
        links = [CoreLink(cord.fade is None or cord.fade < 0) for cord in wiring]
        routes = [
            Route(link, place[cord.source], 0, place[cord.target], cord.target_port, cord.fade is not None)
            for link, cord in zip(links, wiring, strict=True)
        ]
        commit = CoreCommit(count, CorePlan([nodes[number] for number in case.order], routes, case.block))
        for link, cord in zip(links, wiring, strict=True):
            if cord.fade is not None:
                commit.fade(link, cord.fade > 0, abs(cord.fade))
        engine.submit(commit)
        engine.step(BLOCKS_PER_WIRING, 1000)
        engine.events()
        heard.append({number: ring.read(frames) for number, ring in rings.items() if case.members[number].inputs})
    return heard


@settings(max_examples=250)
@given(case=cases(), seed=st.integers(0, 2**32 - 1))
def test_a_plan_gives_what_arithmetic_says(case: Case, seed: int) -> None:
    chance = np.random.default_rng(seed)
    frames = case.block * BLOCKS_PER_WIRING
    sounds = {
        number: chance.uniform(-1, 1, (node.outputs[0], frames * len(case.wirings))).astype(np.float32)
        for number, node in enumerate(case.members)
        if node.core_type == "ring_source"
    }
    for count, heard in enumerate(played(case, sounds)):
        now = {number: sound[:, count * frames : (count + 1) * frames] for number, sound in sounds.items()}
        right = expected(case, case.wirings[count], now, frames)
        for number, sound in heard.items():
            np.testing.assert_array_equal(sound, right[number], f"node {number}, wiring {count}")
