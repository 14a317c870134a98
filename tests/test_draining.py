"""Nodes removed with `drain` play out what they hold, and are gone then."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tonnetz.daemon.engine import stage
from tonnetz.daemon.graph.edits import AddNode, AnyEdit, ConfigureNode, Connect, RemoveNode

from .proofs.studio import Studio, document, node, recorder, studio
from .recordings import Samples

RATE = 48000
BLOCK = 256
CUT = 20 * BLOCK
BURSTS = np.zeros(RATE, np.float32)
BURSTS[:480] = BURSTS[4000:] = 0.25


def delayed(sound: Samples, frames: int, feedback: float = 0.0) -> Samples:
    out = np.zeros_like(sound)
    line = sound.copy()
    for n in range(frames, sound.shape[-1]):
        out[n] = line[n - frames]
        line[n] += feedback * line[n - frames]
    return out


def playing(folder: Path, *nodes: dict[str, Any], wires: tuple[str, ...], sound: Samples = BURSTS) -> Any:
    """`sound` from `player`, through whatever, into `tape`."""
    folder.mkdir(parents=True, exist_ok=True)
    soundfile.write(folder / "sound.wav", sound, RATE, subtype="FLOAT")
    player = node("player", "file_player", path="sound.wav", channels=1)
    return studio(folder, document([player, *nodes, recorder("tape")], *wires))


def drain(*names: str) -> list[AnyEdit]:
    return [RemoveNode(id=name, strategy="drain") for name in names]


def on_stage(made: Studio) -> set[str]:
    return {node.id for node in made.session.stage.parts}


async def step(made: Studio, blocks: int, at_once: int = 1) -> None:
    while blocks > 0:
        await made.session.runtime.step(min(blocks, at_once))
        blocks -= at_once


async def read_ahead(made: Studio, player: str, frames: int) -> None:
    """Waits until it has read so much of its file that is still to be heard."""
    outside = made.session.stage.part(player).outside
    assert outside is not None
    for _ in range(1000):
        if outside.ring.written - outside.ring.taken >= frames:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{player} has not read {frames} frames in 10 s")


@pytest.mark.parametrize("at_once", [1, 7, 400])
async def test_a_delay_plays_out_its_line(at_once: int, tmp_path: Path) -> None:
    """Its input is cut, its echoes come as they would have, over a silence between them; however late anybody looks."""
    wires = ("player.out > late.in", "late.out > tape.in")
    async with playing(tmp_path, node("late", "delay", time_ms=100), wires=wires) as made:
        await step(made, 20, at_once)
        await made.apply(drain("late"))
        assert "late" not in made.session.graph.nodes and "late" in on_stage(made)
        await step(made, 100, at_once)
        assert on_stage(made) == {"player", "tape"}
    expected = delayed(np.where(np.arange(RATE) < CUT, BURSTS, 0).astype(np.float32), 4800)
    heard = made.recordings["tape"][0]
    assert np.array_equal(heard, expected[: heard.size]) and heard[CUT:].any()


async def test_one_that_echoes_goes_on_until_nothing_is_heard(tmp_path: Path) -> None:
    """And in a row with another that is removed with it: the second waits for what is still to come from the first."""
    nodes = [node("first", "delay", time_ms=150), node("second", "delay", time_ms=50, feedback=0.5)]
    wires = ("player.out > first.in", "first.out > second.in", "second.out > tape.in")
    async with playing(tmp_path, *nodes, wires=wires) as made:
        await step(made, 20)
        await made.apply(drain("first", "second"))
        await step(made, 90)
        assert {"first", "second"} <= on_stage(made)
        await step(made, 300)
        assert on_stage(made) == {"player", "tape"}
    cut = np.where(np.arange(RATE) < CUT, BURSTS, 0).astype(np.float32)
    expected = delayed(delayed(cut, 7200), 2400, 0.5)
    heard = made.recordings["tape"][0][:RATE]
    expected = (
        np.pad(expected, (0, heard.size - expected.size)) if heard.size > expected.size else expected[: heard.size]
    )
    assert np.abs(heard - expected).max() < 1.1e-5, "it was let go when it was inaudible, -100 dB"


async def test_with_a_fade_its_input_fades(tmp_path: Path) -> None:
    wires = ("player.out > late.in", "late.out > tape.in")
    async with playing(tmp_path, node("late", "delay", time_ms=100), wires=wires) as made:
        await step(made, 20)
        await made.apply(drain("late"), 20.0)
        await step(made, 100)
    way = np.clip((np.arange(RATE) - CUT + 1) / 960, 0, 1)
    expected = delayed((BURSTS * (0.5 + 0.5 * np.cos(np.pi * way))).astype(np.float32), 4800)
    heard = made.recordings["tape"][0]
    assert np.abs(heard - expected[: heard.size]).max() < 1e-6


async def test_a_filter_rings_out(tmp_path: Path) -> None:
    ringing = node("ringing", "equalizer", bands=[{"type": "band_pass", "frequency": 100.0, "q": 20.0}])
    wires = ("player.out > ringing.in", "ringing.out > tape.in")
    runs = []
    for removed in (True, False):
        sound = np.where(np.arange(RATE) < CUT, BURSTS, 0).astype(np.float32)
        async with playing(tmp_path / str(removed), ringing, wires=wires, sound=sound) as made:
            await step(made, 20)
            if removed:
                await made.apply(drain("ringing"))
            await step(made, 180)
            assert ("ringing" in on_stage(made)) != removed
        runs.append(made.recordings["tape"][0])
    assert np.abs(runs[0] - runs[1]).max() < 1.1e-5 and np.abs(runs[0][CUT + 4800 :]).max() > 0.001


async def test_what_hears_it_may_be_rebuilt(tmp_path: Path) -> None:
    """A mixer gets an input more, and another node the same id, while it drains."""
    nodes = [node("late", "delay", time_ms=200), node("mix", "mixer")]
    wires = ("player.out > late.in", "late.out > mix.in_1", "mix.out > tape.in")
    async with playing(tmp_path, *nodes, wires=wires) as made:
        await step(made, 20)
        await made.apply(drain("late"))
        await step(made, 5)
        await made.apply([ConfigureNode(id="mix", config={"inputs": [{}, {}, {}]})])
        await step(made, 5)
        again = AddNode(id="late", type="gain")
        await made.apply([again, Connect(source="late.out", target="mix.in_3")])
        await step(made, 100)
        assert sorted(node.id for node in made.session.stage.parts) == ["late", "mix", "player", "tape"]
    expected = delayed(np.where(np.arange(RATE) < CUT, BURSTS, 0).astype(np.float32), 9600)
    heard = made.recordings["tape"][0]
    factor = np.abs(heard).max() / 0.25  # the mixer's, for mono
    assert np.allclose(heard, factor * expected[: heard.size], rtol=0, atol=1e-7) and heard[30 * BLOCK :].any()


async def test_it_ends_with_what_hears_it(tmp_path: Path) -> None:
    nodes = [node("late", "delay", time_ms=2000), node("level", "gain")]
    wires = ("player.out > late.in", "late.out > level.in", "level.out > tape.in")
    async with playing(tmp_path, *nodes, wires=wires) as made:
        await step(made, 20)
        await made.apply(drain("late"))
        await step(made, 5)
        await made.apply([RemoveNode(id="level")], 5.0)
        await step(made, 10)
        assert on_stage(made) == {"player", "tape"}


async def test_it_does_not_go_on_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "LIMIT_S", 0.2)
    wires = ("player.out > late.in", "late.out > tape.in")
    slow = (0.01 * np.minimum(np.arange(RATE) / 4800, 1)).astype(np.float32)
    late = node("late", "delay", time_ms=10, feedback=0.99)
    async with playing(tmp_path, late, wires=wires, sound=slow) as made:
        await step(made, 20)
        await made.apply(drain("late"), 10.0)
        await step(made, 100)
        assert on_stage(made) == {"player", "tape"}
    heard = made.recordings["tape"][0]
    end = CUT + round((0.01 + 0.05 + 0.2) * RATE)
    assert heard[end - 480 : end - 10].any() and not heard[end + 480 + BLOCK :].any()
    assert np.abs(np.diff(heard)).max() < 1.5 * np.abs(heard).max() * np.pi / 2 / 480, "the rest fades"


async def test_a_player_plays_what_is_ready_and_fades_there(tmp_path: Path) -> None:
    wires = ("player.out > tape.in",)
    async with playing(tmp_path, wires=wires, sound=np.full(5 * RATE, 0.25, np.float32)) as made:
        await step(made, 20)
        await read_ahead(made, "player", RATE // 2)
        await made.apply(drain("player"))
        await step(made, 900, 50)
        assert on_stage(made) == {"tape"}
    heard = made.recordings["tape"][0]
    sounding = np.flatnonzero(heard)
    assert CUT + RATE // 2 < sounding[-1] < CUT + 3 * RATE
    assert np.array_equal(heard[: sounding[-1] - 960], np.full(sounding[-1] - 960, 0.25, np.float32))
    assert np.abs(np.diff(heard)).max() < 0.25 * np.pi / 2 / 950


async def test_where_nothing_is_held_it_is_a_fade(tmp_path: Path) -> None:
    nodes = [node("tone", "tone", channels=1), node("end", "null_output")]
    wires = ("player.out > tape.in", "tone.out > tape.in", "tone.out > end.in")
    async with playing(tmp_path, *nodes, wires=wires) as made:
        await step(made, 20)
        await made.apply(drain("tone", "end"), 5.0)
        await step(made, 3)
        assert on_stage(made) == {"player", "tape"}


async def test_taking_it_back_brings_a_new_one_while_the_old_one_drains(tmp_path: Path) -> None:
    wires = ("player.out > late.in", "late.out > tape.in")
    async with playing(tmp_path, node("late", "delay", time_ms=100), wires=wires) as made:
        await step(made, 20)
        await made.apply(drain("late"))
        await made.apply(made.session.history.since(made.session.revision - 1)[0].inverse)
        await step(made, 100)
        assert sorted(node.id for node in made.session.stage.parts) == ["late", "player", "tape"]
    heard = made.recordings["tape"][0]
    assert np.array_equal(heard, delayed(BURSTS, 4800)[: heard.size])


async def test_where_it_crosses_what_comes_it_fades_instead(tmp_path: Path) -> None:
    """`late` drains into `level`, which is to feed `other`, whose last sound still goes into `late`: a loop."""
    nodes = [node("other", "gain"), node("late", "delay", time_ms=100), node("level", "gain")]
    wires = ("player.out > other.in", "other.out > late.in", "late.out > level.in", "level.out > tape.in")
    async with playing(tmp_path, *nodes, wires=wires) as made:
        await step(made, 20)
        await made.apply([*drain("late"), Connect(source="level.out", target="other.in")], 20.0)
        await step(made, 100)
        assert on_stage(made) == {"player", "other", "level", "tape"}
