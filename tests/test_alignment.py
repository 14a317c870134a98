"""Latency compensation as it is heard: parallel ways meet to the sample, and changes of it do not click."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.endpoints.endpoint import MediaRoots
from tonnetz.daemon.graph.edits import AddNode, BypassNode, ConfigureNode, Connect, Disconnect, RemoveNode
from tonnetz.daemon.session import Session

from .proofs.studio import CALLER, Studio, document, node, recorder, studio

LOOKAHEAD = {"lookahead_ms": 5.0, "ratio": 1.0}  # does nothing but be late
WIRES = ("noise.out > late.in", "late.out > mix.in_1", "noise.out > mix.in_2", "mix.out > tape.in")
INVERTED = [
    node("noise", "tone", wave="white", channels=2),
    node("late", "compressor", **LOOKAHEAD),
    node("turned", "gain", invert=True),
    node("mix", "mixer"),
    recorder("tape", 2),
]
CANCELLING = (
    "noise.out > late.in",
    "late.out > mix.in_1",
    "noise.out > turned.in",
    "turned.out > mix.in_2",
    "mix.out > tape.in",
)


def latencies(made: Studio) -> dict[str, tuple[int, int]]:
    return {node["id"]: (node["latency"], node["latency_total"]) for node in made.session.view()["nodes"]}


async def test_two_ways_meet_to_the_sample(tmp_path: Path) -> None:
    """The noise and its inverse, one of them through a look-ahead: they cancel to nothing."""
    async with studio(tmp_path, document(INVERTED, *CANCELLING)) as made:
        assert latencies(made) == {
            "noise": (0, 0),
            "late": (240, 240),
            "turned": (0, 0),
            "mix": (0, 240),
            "tape": (0, 240),
        }
        await made.session.runtime.step(50)
        await made.apply([ConfigureNode(id="turned", config={"mute": True})])
        await made.session.runtime.step(10)
    heard = made.recordings["tape"]
    assert not heard[:, : 50 * 256].any() and heard[:, 50 * 256 :].any()


async def test_so_do_a_side_chain_and_what_it_controls(tmp_path: Path) -> None:
    """A gain reduction drives a gain: both are held back like the sound that they belong to."""
    nodes = [
        node("noise", "tone", wave="white", channels=1),
        node("late", "compressor", threshold_db=-40.0, lookahead_ms=3.0),
        node("copy", "gain"),
        node("turned", "gain", invert=True),
        node("mix", "mixer"),
        recorder("tape", 2),
    ]
    wires = (
        "noise.out > late.in",
        "noise.out > copy.in",
        "late.gain_reduction_db > copy.gain_db",
        "copy.out > turned.in",
    )
    async with studio(
        tmp_path, document(nodes, *wires, "late.out > mix.in_1", "turned.out > mix.in_2", "mix.out > tape.in")
    ) as made:
        await made.session.runtime.step(100)
    assert np.abs(made.recordings["tape"]).max() < 2e-6


async def test_it_can_be_switched_off(tmp_path: Path) -> None:
    session = Session(clock="step", media=MediaRoots(record_root=tmp_path), latency_compensation=False)
    made = Studio(session)
    try:
        await session.load(document(INVERTED, *CANCELLING), caller=CALLER, fade_ms=0)
        made.recorders.note()
        await session.runtime.step(50)
        assert latencies(made)["mix"] == (0, 240)
        await session.runtime.stop()
        (tape,) = made.recorders.read()["tape"]
    finally:
        await session.close()
    assert tape.samples[:, 240:].any()


async def test_around_a_bypassed_node_nothing_is_late(tmp_path: Path) -> None:
    async with studio(tmp_path, document(INVERTED, *CANCELLING)) as made:
        await made.session.runtime.step(10)
        await made.apply([BypassNode(id="late", bypass=True)])
        assert latencies(made)["late"] == (240, 0) and latencies(made)["mix"] == (0, 0)
        await made.session.runtime.step(20)
    assert not made.recordings["tape"][:, 12 * 256 :].any()


async def test_untouched_ways_keep_every_bit(tmp_path: Path) -> None:
    """A look-ahead comes and goes beside a way that does not meet it, though both begin at one source."""
    nodes = [node("noise", "tone", wave="pink", channels=2), node("eq", "equalizer"), recorder("tape", 2)]
    wires = ("noise.out > eq.in", "eq.out > tape.in")
    runs = []
    for disturbed in (False, True):
        async with studio(tmp_path / str(disturbed), document(nodes, *wires)) as made:
            for number in range(10):
                await made.session.runtime.step(7)
                if disturbed and number % 2:
                    await made.apply([RemoveNode(id="late"), RemoveNode(id="mix")], 10.0)
                elif disturbed:
                    ways = [("noise.out", "late.in"), ("late.out", "mix.in_1"), ("eq.out", "mix.in_2")]
                    added = [AddNode(id="late", type="compressor", config=LOOKAHEAD), AddNode(id="mix", type="mixer")]
                    await made.apply([*added, *(Connect(source=a, target=b) for a, b in ways)], 10.0)
        runs.append(made.recordings["tape"])
    np.testing.assert_array_equal(runs[0], runs[1])


def constant(folder: Path, *nodes: dict[str, Any], wires: tuple[str, ...]) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "constant.wav", np.full(48000, 0.25), 48000, subtype="FLOAT")
    player = node("noise", "file_player", path="constant.wav", loop=True, channels=2)
    return studio(folder, document([player, *nodes, recorder("tape", 2)], *wires))


@pytest.mark.parametrize("fade_ms", [0.0, 1.0, 20.0])
async def test_another_latency_leaves_no_gap(fade_ms: float, tmp_path: Path) -> None:
    """Of a constant on two ways that are crossfaded to other delays nothing is seen at all: the new ones are full before."""
    nodes = [node("late", "compressor", lookahead_ms=0.0, ratio=1.0), node("mix", "mixer")]
    async with constant(tmp_path, *nodes, wires=WIRES) as made:
        await made.session.runtime.step(100)
        for lookahead_ms in (5.0, 20.0, 3.0, 0.0, 10.0):
            await made.apply([ConfigureNode(id="late", config={"lookahead_ms": lookahead_ms})], fade_ms)
            await made.session.runtime.step(20)
            assert latencies(made)["mix"][1] == lookahead_ms * 48
    heard = made.recordings["tape"][:, 50 * 256 :]
    assert np.abs(heard - 0.5).max() < 1e-6


async def test_it_comes_and_goes_without_a_click(tmp_path: Path) -> None:
    """Random edits of a graph with many ways of unlike latency, of a constant: all that moves are fades."""
    chance = random.Random(3)
    nodes = [node(name, "compressor", ratio=1.0, lookahead_ms=2.0 * number) for number, name in enumerate("abcd")]
    nodes += [node("mix", "mixer", inputs=[{"gain_db": -12}] * 4)]
    wires = ["noise.out > a.in", "a.out > mix.in_1", "noise.out > mix.in_2", "mix.out > tape.in"]
    async with constant(tmp_path, *nodes, wires=tuple(wires)) as made:
        await made.session.runtime.step(100)
        for _ in range(60):
            graph = made.session.graph
            name = chance.choice("abcd")
            match chance.randrange(3):
                case 0:
                    edit: Any = ConfigureNode(id=name, config={"lookahead_ms": chance.choice([0.0, 1.0, 5.0, 12.0])})
                case 1:
                    wire = chance.choice(sorted(name for name in graph.connections if "tape" not in name))
                    edit = Disconnect(id=wire)
                case _:
                    port = f"mix.in_{chance.randint(1, 4)}"
                    source, target = chance.choice([("noise.out", f"{name}.in"), (f"{name}.out", port)])
                    if f"{source}:{target}" in graph.connections:
                        continue
                    edit = Connect(source=source, target=target)
            await made.apply([edit], 10.0)
            await made.session.runtime.step(chance.randint(1, 6))
    heard = made.recordings["tape"][0, 100 * 256 :]
    steepest = np.pi / 2 / 480 * max(float(np.abs(heard).max()), 0.25)
    assert np.ptp(heard) > 0.1 and np.abs(np.diff(heard)).max() < 3.5 * steepest


async def test_what_was_put_off_and_has_just_come_fades_like_all_else(tmp_path: Path) -> None:
    """A way that is exchanged for a delayed one a block later, at once, and is taken away in the block after that."""
    one_block_ms = 256 / 48
    nodes = [node("late", "compressor", lookahead_ms=0.0, ratio=1.0), node("mix", "mixer")]
    async with constant(tmp_path, *nodes, wires=WIRES) as made:
        await made.session.runtime.step(10)
        await made.apply([ConfigureNode(id="late", config={"lookahead_ms": one_block_ms})], 0.0)
        assert latencies(made)["mix"][1] == 256
        await made.session.runtime.step(1)
        await made.apply([Disconnect(source="noise.out", target="mix.in_2")], 20.0)
        await made.session.runtime.step(20)
    tape = made.recordings["tape"][:, 256:]
    assert np.abs(np.diff(tape)).max() < 0.25 / 960 * 2  # a raised cosine is at most pi/2 as steep as a line
    assert tape[:, 0].max() == 0.5 and tape[:, -1].max() == 0.25
