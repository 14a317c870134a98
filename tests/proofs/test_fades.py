"""Fades within fades: an edit in the midst of another's fade goes on from where that has come to. Of constant sounds all that
moves is fades, so a jump would be seen; and every fade is as long as it was asked to be."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.graph.edits import (
    AddNode,
    AnyEdit,
    BypassNode,
    ConfigureNode,
    Connect,
    Disconnect,
    RemoveNode,
    ReplaceNode,
    Strategy,
)
from tonnetz.daemon.problems import Refusal

from .studio import Studio, document, node, recorder, studio

BLOCK = 16
LEVEL = 0.25
STRATEGIES: tuple[Strategy, ...] = ("fade", "drain", "bridge")
FADES_MS = (2.0, 5.0, 20.0, 60.0)


def constant(folder: Path) -> Any:
    """Two constants, one mono and one stereo; `one` goes through `level` into `tape`, and `mix` waits beside it."""
    soundfile.write(folder / "constant.wav", np.full(48000, LEVEL), 48000, subtype="FLOAT")
    nodes = [
        node("one", "file_player", path="constant.wav", loop=True, channels=1),
        node("two", "file_player", path="constant.wav", loop=True, channels=2),
        node("level", "gain", gain_db=-6.0),
        node("mix", "mixer"),
        node("eq", "equalizer", bands=[{}]),
        recorder("tape", 2),
    ]
    wires = ("one.out > level.in", "level.out > tape.in", "two.out > mix.in_1", "mix.out > eq.in")
    return studio(folder, document(nodes, *wires), block_frames=BLOCK)


def edit(chance: random.Random, made: Studio) -> list[AnyEdit]:
    """Something of every kind that fades."""
    graph = made.session.graph
    processors = sorted(set(graph.nodes) - {"one", "two", "tape"})
    some = chance.choice(processors)
    source = chance.choice(["one", "two", *processors])
    port = chance.choice(["mix.in_1", "mix.in_2"]) if "mix" in graph.nodes else "tape.in"
    target = chance.choice(["tape.in", "tape.in", port, *(f"{name}.in" for name in processors if name != "mix")])
    match chance.randrange(9):
        case 0 | 1:
            return [Connect(source=f"{source}.out", target=target)]
        case 2:
            return [Disconnect(id=chance.choice(sorted(graph.connections)))] if graph.connections else []
        case 3:
            return [RemoveNode(id=some, strategy=chance.choice(STRATEGIES))] if len(processors) > 2 else []
        case 4:
            new = {"gain": "level", "mixer": "mix", "equalizer": "eq"}
            missing = [(kind, name) for kind, name in new.items() if name not in graph.nodes]
            if not missing:
                return [ReplaceNode(id=some, type=chance.choice(["gain", "equalizer"]), config={})]
            kind, name = chance.choice(missing)
            into = "mix.in_1" if name == "mix" else f"{name}.in"
            wires = [Connect(source="two.out", target=into), Connect(source=f"{name}.out", target="tape.in")]
            return [AddNode(id=name, type=kind), *wires]
        case 5:
            return [BypassNode(id=some, bypass=chance.random() < 0.6)]
        case 6:
            kind = graph.nodes[some].type
            changes: dict[str, list[dict[str, Any]]] = {
                "gain": [{"mute": chance.random() < 0.5}, {"gain_db": chance.uniform(-20, 0)}],
                "mixer": [
                    {"inputs": [{}] * chance.randint(2, 4)},
                    {"inputs": {"0": {"gain_db": chance.uniform(-20, 0)}}},
                ],
                "equalizer": [{"bands": [{}] * chance.randint(1, 4)}, {"gain_db": chance.uniform(-12, 0)}],
            }
            return [ConfigureNode(id=some, config=chance.choice(changes[kind]))]
        case 7:
            return [ConfigureNode(id=chance.choice(["one", "two"]), config={"channels": chance.choice([1, 2])})]
    return [Disconnect(id=wire) for wire in list(graph.connections)[:2]]


async def carry_out(chance: random.Random, made: Studio, fade_ms: float) -> bool:
    for _ in range(50):
        try:
            edits = edit(chance, made)
            if edits:
                await made.apply(edits, fade_ms)
                return True
        except Refusal:
            continue
    return False


@pytest.mark.parametrize("seed", range(8))
async def test_no_edit_in_the_midst_of_another_jumps(seed: int, tmp_path: Path) -> None:
    """40 times three edits, each within the fade of the one before, with fades of unlike lengths."""
    chance = random.Random(seed)
    spans: list[tuple[int, int, float]] = []
    async with constant(tmp_path) as made:
        await made.session.runtime.step(100)
        for _ in range(40):
            begin, shortest, rest = made.session.engine.frame, 1e9, 0.0
            for _ in range(3):
                fade_ms = chance.choice(FADES_MS)
                await carry_out(chance, made, fade_ms)
                shortest = min(shortest, fade_ms)
                within = chance.uniform(0, 0.8) * fade_ms
                rest = max(rest, fade_ms) - within
                await made.session.runtime.step(max(1, round(within * 48 / BLOCK)))
            await made.session.runtime.step(round((rest + 25) * 48 / BLOCK))  # gains of their own glide for 20 ms
            spans.append((begin, made.session.engine.frame, shortest))
    heard = made.recordings["tape"]
    moved = 0
    for begin, end, shortest in spans:
        part = heard[:, begin:end]
        steps = np.abs(np.diff(part, axis=1)).max()
        loudest = max(float(np.abs(part).max()), LEVEL)
        # Of three fades under way at once, in a row or side by side, each at its steepest.
        assert steps <= 3 * loudest * np.pi / 2 / (min(shortest, 20.0) * 48), f"a jump of {steps:.4f} after {begin}"
        moved += steps > 0
    assert moved > 10, "nothing happened"


@pytest.mark.parametrize("fade_ms", [0.0, 0.01, 0.03, 1.0, 333.3, 1000.0])
async def test_fades_are_as_long_as_they_were_asked_to_be(fade_ms: float, tmp_path: Path) -> None:
    frames = round(fade_ms * 48)
    async with constant(tmp_path) as made:
        await made.session.runtime.step(100)
        begin = made.session.engine.frame
        await made.apply([Disconnect(id="level.out:tape.in")], fade_ms)
        await made.session.runtime.step(frames // BLOCK + 10)
    heard = made.recordings["tape"][0, begin:]
    level = made.recordings["tape"][0, begin - 1]
    way = np.clip((np.arange(heard.size) + 1) / frames, 0, 1) if frames else np.ones(heard.size)
    assert np.abs(heard - level * (0.5 + 0.5 * np.cos(np.pi * way))).max() < 1e-6
    assert not heard[frames:].any() and (frames < 2 or heard[frames - 2] > 0)


async def test_a_jump_would_be_seen(tmp_path: Path) -> None:
    async with constant(tmp_path) as made:
        await made.session.runtime.step(100)
        await made.apply([Disconnect(id="level.out:tape.in")], 20.0)
        await made.session.runtime.step(20)
        await made.apply([Connect(source="two.out", target="tape.in")], 0.0)
        await made.session.runtime.step(20)
    steps = np.abs(np.diff(made.recordings["tape"][:, 1600:], axis=1)).max()
    assert steps > 10 * 3 * LEVEL * np.pi / 2 / 960
