"""States of nodes as data: taken while they sound, and given to others."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from tests.rig import Bench, noise
from tonnetz.daemon.engine.core import CoreCommit
from tonnetz.daemon.engine.node_state import state_of
from tonnetz.daemon.graph.edits import AddNode, AnyEdit, Connect, ReplaceNode
from tonnetz.daemon.graph.node_state import NodeState, to_plain
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session

from .proofs.studio import CALLER, Studio, document, node, recorder, studio

MEMORABLE = {
    "tone": {"wave": "pink", "channels": 2},
    "equalizer": {"bands": [{"frequency": 60.0, "gain_db": 12.0, "q": 8.0}]},
    "compressor": {"threshold_db": -30.0, "release_ms": 500.0, "lookahead_ms": 5.0},
    "delay": {"time_ms": 50.0, "feedback": 0.7},
    "gain": {"gain_db": -3.0},
}


def scene(node_type: str, config: dict[str, Any], width: int = 2) -> dict[str, Any]:
    """Noise through a node, `it`, into a recorder."""
    nodes = [node("noise", "tone", wave="white", level_db=-12, channels=width), node("it", node_type, **config)]
    wires = ["it.out > tape.in"] if node_type == "tone" else ["noise.out > it.in", "it.out > tape.in"]
    return document([*nodes, recorder("tape", width)], *wires)


async def give(made: Studio, state: NodeState | dict[str, Any], fade_ms: float | None = 0, **more: Any) -> Any:
    it = made.session.graph.nodes["it"]
    plain = to_plain(state) if isinstance(state, NodeState) else state
    edit = ReplaceNode(id="it", type=it.type, config=dict(it.config), state=plain)
    return await made.session.apply([edit], caller=CALLER, fade_ms=fade_ms, **more)


@pytest.mark.parametrize("node_type", MEMORABLE)
async def test_a_node_that_is_given_its_own_state_goes_on_bit_for_bit(node_type: str, tmp_path: Path) -> None:
    heard = []
    for exchanged in (False, True):
        async with studio(tmp_path / str(exchanged), scene(node_type, MEMORABLE[node_type])) as made:
            await made.session.runtime.step(50)
            taken = await made.session.states.get("it")
            assert taken.frame == 50 * 256
            if exchanged:
                receipt = await give(made, msgspec.json.decode(msgspec.json.encode(to_plain(taken.state))))
                assert receipt.state_carried == {"it": True}
            await made.session.runtime.step(50)
        heard.append(made.recordings["tape"])
    np.testing.assert_array_equal(heard[0], heard[1])


async def test_a_new_node_begins_with_the_state_of_another(tmp_path: Path) -> None:
    async with studio(tmp_path, scene("delay", MEMORABLE["delay"])) as made:
        await made.session.runtime.step(50)
        state = to_plain((await made.session.states.get("it")).state)
        twin = AddNode(id="twin", type="delay", config=MEMORABLE["delay"], state=state)
        inverted = AddNode(id="inverted", type="gain", config={"invert": True})
        wires = [("noise.out", "twin.in"), ("twin.out", "inverted.in"), ("inverted.out", "tape.in")]
        await made.apply([twin, inverted, *(Connect(source=source, target=target) for source, target in wires)])
        await made.session.runtime.step(50)
    assert made.recordings["tape"][:, : 50 * 256].any() and not made.recordings["tape"][:, 50 * 256 :].any()


@pytest.mark.parametrize(
    ("node_type", "config"),
    [("delay", {"time_ms": 100.0, "feedback": 0.5}), ("compressor", {"lookahead_ms": 20.0}), ("equalizer", {})],
)
async def test_it_does_not_click(node_type: str, config: dict[str, Any], tmp_path: Path) -> None:
    """A state of the opposite sign is given in the midst of a constant sound: neither then, nor when the seam in a line
    comes round, does anything move faster than fades do."""
    states = []
    for level in (-0.25, 0.25):
        nodes = [node("source", "channel_map"), node("it", node_type, **config), recorder("tape", 2)]
        async with constant(tmp_path / str(level), level, nodes) as made:
            await made.session.runtime.step(200)
            if states:
                await give(made, states[0], 20.0)
            states.append((await made.session.states.get("it")).state)
            await made.session.runtime.step(200)
    steps = np.abs(np.diff(made.recordings["tape"][0, 190 * 256 :]))
    steepest = np.pi / 2 / 960
    assert steps.max() < 3.5 * steepest * 0.5
    assert node_type != "delay" or steps.max() > 0.2 * steepest, "nothing happened"


def constant(folder: Path, level: float, nodes: list[dict[str, Any]]) -> Any:
    folder.mkdir(parents=True)
    soundfile.write(folder / "constant.wav", np.full(48000, level), 48000, subtype="FLOAT")
    player = node("player", "file_player", path="constant.wav", loop=True, channels=2)
    wires = ("player.out > source.in", "source.out > it.in", "it.out > tape.in")
    return studio(folder, document([player, *nodes], *wires))


def test_a_large_line_is_as_it_was_at_one_boundary() -> None:
    """15 MB, copied in 60 pieces while blocks are played; the line goes round meanwhile."""
    config = {"time_ms": 10.0, "max_ms": 5000.0}
    inputs = {"in": noise(1200 * 256, 16)}
    played = Bench("delay", config, inputs)
    copy = played._subject()
    commit = CoreCommit(3, None)
    commit.copy(played.node, copy)
    commit.at(1000 * 256)
    played.engine.submit(commit)
    played.step(1200)
    assert played.engine.status().commits == 2
    still = Bench("delay", config, inputs)
    still.step(1000)
    assert state_of(copy, "delay") == still.state()
    assert still.state().fields["line"].columns == 240_000
    still.step(200)
    assert np.array_equal(played.outputs["out"], still.outputs["out"])


async def test_states_are_taken_while_an_audio_thread_runs(tmp_path: Path) -> None:
    async with studio(tmp_path, scene("delay", MEMORABLE["delay"]), clock="internal") as made:
        await asyncio.sleep(0.3)
        several = await asyncio.gather(*(made.session.states.get("it") for _ in range(5)))
    assert len({taken.frame for taken in several}) > 1
    for taken in several:
        line = np.frombuffer(taken.state.fields["line"].data, "<f4").reshape(2, -1)
        assert line.shape[1] == min(taken.frame, 96000)


async def test_several_are_taken_at_one_block_boundary(tmp_path: Path) -> None:
    """Delays of one noise, as long as unlike times; more of them than the audio thread copies in a block."""
    lengths_ms = [50.0 + 10.0 * number for number in range(20)]
    nodes = [node("noise", "tone", wave="white", channels=2), node("end", "null_output")]
    nodes += [node(f"late_{n}", "delay", max_ms=each, time_ms=each) for n, each in enumerate(lengths_ms)]
    wires = [f"{a} > {b}" for n in range(20) for a, b in (("noise.out", f"late_{n}.in"), (f"late_{n}.out", "end.in"))]
    names = [f"late_{n}" for n in range(20)]
    async with studio(tmp_path, document(nodes, *wires), clock="internal") as made:
        await asyncio.sleep(0.5)
        states = await made.session.states.get_some(names)
    lines = [np.frombuffer(states[name].fields["line"].data, "<f4").reshape(2, -1) for name in names]
    assert [line.shape[1] for line in lines] == [48 * each for each in lengths_ms] and lines[0].any()
    for shorter, longer in pairwise(lines):
        np.testing.assert_array_equal(shorter, longer[:, -shorter.shape[1] :])


async def test_whoever_is_told_to_stop_waiting_does_even_as_the_state_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an end that gives all states two seconds waits for thousands of them, a block each."""
    copied: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    begun = asyncio.Event()

    def copy_states(*_: Any) -> asyncio.Future[int]:
        begun.set()
        return copied

    async with studio(tmp_path, scene("delay", MEMORABLE["delay"])) as made:
        monkeypatch.setattr(made.session.stage, "copy_states", copy_states)
        asked = asyncio.create_task(made.session.states.get("it"))
        await begun.wait()
        copied.set_result(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked


async def refusal(asked: Awaitable[Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        await asked
    return caught.value


@pytest.mark.parametrize(
    ("spoil", "kind", "where", "words"),
    [
        ({"type": "delay"}, "unfit_state", "edits[0].state.type", "This is the state of a delay"),
        ({"version": 2}, "malformed", "edits[0].state.version", "read as version 1"),
        ({"fields": {}}, "unfit_state", "edits[0].state.fields", "consists of sections; what is given, of nothing"),
        ({"fields": 5}, "malformed", "edits[0].state.fields", "must be a mapping"),
        ({"colour": 5}, "unknown_key", "edits[0].state.colour", "has no 'colour'"),
    ],
)
async def test_what_is_no_state_of_the_node_is_refused(
    spoil: dict[str, Any], kind: str, where: str, words: str, tmp_path: Path
) -> None:
    async with studio(tmp_path, scene("equalizer", MEMORABLE["equalizer"])) as made:
        plain = {**to_plain((await made.session.states.get("it")).state), **spoil}
        for more in ({}, {"dry_run": True}, {"at": 10**6}):
            (problem,) = (await refusal(give(made, plain, **more))).problems
            assert (problem.kind, problem.where) == (kind, where) and words in problem.message
        await made.session.runtime.step(1)


@pytest.mark.parametrize(
    ("spoil", "where", "words"),
    [
        ({"cell": "float16"}, ".cell", "'float16' is no kind of cell"),
        ({"cell": "uint32"}, "", "has cells of float32, not of uint32"),
        ({"shape": [4, 5]}, ".data", "4 × 5 cells of float32 are 80 bytes; the data has 64"),
        ({"shape": [8, 2]}, "", "sections is 4 × 4 in this node, not 8 × 2"),
        ({"shape": [-4, -4]}, ".shape", "A shape is two counts"),
        ({"data": "?"}, ".data", "no base64"),
        ({"data": base64.b64encode(np.full(16, np.nan, "<f4")).decode()}, "", "no finite number"),
    ],
)
async def test_so_is_what_is_no_field_of_it(spoil: dict[str, Any], where: str, words: str, tmp_path: Path) -> None:
    async with studio(tmp_path, scene("equalizer", MEMORABLE["equalizer"])) as made:
        plain = to_plain((await made.session.states.get("it")).state)
        plain["fields"]["sections"] |= spoil
        before, revision = made.session.graph, made.session.revision
        found = await refusal(give(made, plain))
        assert found.problems[0].where == f"edits[0].state.fields.sections{where}" and words in found.message
        assert (made.session.graph, made.session.revision) == (before, revision)
        await made.session.runtime.step(1)


async def test_a_line_may_be_shorter_and_not_longer(tmp_path: Path) -> None:
    async with studio(tmp_path, scene("delay", {"time_ms": 50.0, "max_ms": 100.0})) as made:
        await made.session.runtime.step(50)
        long = (await made.session.states.get("it")).state
    async with studio(tmp_path / "longer", scene("delay", {"time_ms": 50.0, "max_ms": 200.0})) as made:
        await give(made, long)
        assert (await made.session.states.get("it")).state == long
        await made.session.runtime.step(1)
    async with studio(tmp_path / "shorter", scene("delay", {"time_ms": 50.0, "max_ms": 60.0})) as made:
        assert "2 × at most 2880 in this node, not 2 × 4800" in (await refusal(give(made, long))).message
        await made.session.runtime.step(1)


async def test_of_which_nodes_there_is_none(tmp_path: Path) -> None:
    async with studio(tmp_path, scene("delay", {"max_ms": 60_000.0})) as made:
        session: Session = made.session
        missing = await refusal(session.states.get("itt"))
        assert missing.name == "not_found" and "Did you mean 'it'?" in missing.message
        assert "keeps its state outside the engine" in (await refusal(session.states.get("tape"))).message
        assert "may have 21 MiB; 10 MiB can be told" in (await refusal(session.states.get("it", 10 << 20))).message
        await session.runtime.step(1)


async def test_another_state_is_no_obstacle_to_undo(tmp_path: Path) -> None:
    async with studio(tmp_path, scene("delay", MEMORABLE["delay"])) as made:
        await made.session.runtime.step(50)
        await give(made, (await made.session.states.get("it")).state)
        (entry,) = made.session.history.since(made.session.revision - 1)
        inverse: tuple[AnyEdit, ...] = entry.inverse
        assert (await made.apply(inverse)).state_carried == {"it": True}
        await made.session.runtime.step(1)
