"""What has faded out, or drained, is cleared away some time later: when makes no difference to what is heard."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tonnetz.daemon.graph.edits import ConfigureNode, Connect, Disconnect
from tonnetz.daemon.session import Session

from .storm import Storm
from .studio import document, node, recorder, studio

NODES = [node("noise", "tone", wave="pink", channels=2), node("wild", "mixer"), recorder("tape", 2)]
WIRES = ("noise.out > wild.in_1", "wild.out > tape.in")


async def stormed(folder: Path, seed: int, *, clears: bool) -> Any:
    """What is heard of a storm, and how many node objects there were at most."""
    chance = random.Random(seed)
    most = 0
    async with studio(folder, document(NODES, *WIRES), block_frames=64) as made:
        storm = Storm(made, seed, {"noise", "tape"})
        for _ in range(60):
            await made.session.runtime.step(chance.choice([1, 2, 5, 60]))
            await storm.rage()
            if clears:
                made.session.sweep()
            most = max(most, len(made.session.stage.parts))
        await made.session.runtime.step(100)
    return made.recordings["tape"], most


@pytest.mark.parametrize("seed", range(6))
async def test_when_makes_no_difference(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cleared, few = await stormed(tmp_path / "cleared", seed, clears=True)
    # Nothing is, but what an edit itself finds to be over.
    monkeypatch.setattr(Session, "sweep", Session.hear_engine)
    left, many = await stormed(tmp_path / "left", seed, clears=False)
    assert few <= many and np.abs(cleared).max() > 0.05
    np.testing.assert_array_equal(cleared, left)


@pytest.mark.parametrize("clears", [True, False])
async def test_a_side_chain_that_is_cut_is_heard_no_more_from_there_on(
    clears: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compressor goes by what comes in as soon as its fade begins, and not when the connection is cleared away."""
    if not clears:
        monkeypatch.setattr(Session, "sweep", Session.hear_engine)
    squeeze = node("squeeze", "compressor", threshold_db=-60.0, ratio=20.0, attack_ms=0.1)
    nodes = [NODES[0], node("key", "tone", wave="silence", channels=1), squeeze, recorder("tape", 2)]
    wires = ("noise.out > squeeze.in", "key.out > squeeze.sidechain", "squeeze.out > tape.in")
    async with studio(tmp_path, document(nodes, *wires), block_frames=64) as made:
        await made.session.runtime.step(10)
        receipt = await made.apply([Disconnect(source="key.out", target="squeeze.sidechain")], 20.0)
        assert receipt.state_carried == {"squeeze": True}
        await made.session.runtime.step(20)
    kept = [NODES[0], squeeze, recorder("tape", 2)]
    async with studio(tmp_path / "plain", document(kept, wires[0], wires[2]), block_frames=64) as plain:
        await plain.session.runtime.step(30)
    heard, wanted = made.recordings["tape"], plain.recordings["tape"]
    loud, low = np.abs(heard[:, :640]).max(), np.abs(heard[:, 640 + 970 :]).max()
    assert low < loud / 10
    assert np.abs(heard[:, 640 + 970 :] - wanted[:, 640 + 970 :]).max() < low / 10


@pytest.mark.parametrize("clears", [True, False])
async def test_what_faded_out_and_comes_again_is_new(
    clears: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes with an equalizer that is rebuilt and fades as a whole: it would fade twice if it were taken for one that
    is on its way out and turns round."""
    if not clears:
        monkeypatch.setattr(Session, "sweep", Session.hear_engine)
    nodes = [node("noise", "tone", wave="pink", channels=2), node("eq", "equalizer"), recorder("tape", 2)]
    wires = ("noise.out > eq.in", "eq.out > tape.in")
    async with studio(tmp_path / "plain", document(nodes, *wires), block_frames=64) as plain:
        await plain.session.runtime.step(30)
    async with studio(tmp_path, document(nodes, *wires), block_frames=64) as made:
        await made.apply([Disconnect(source="noise.out", target="eq.in")], 1.0)
        await made.session.runtime.step(10)
        again = [ConfigureNode(id="eq", config={"bands": [{}] * 7}), Connect(source="noise.out", target="eq.in")]
        await made.apply(again, 20.0)
        await made.session.runtime.step(20)
    middle = slice(640 + 470, 640 + 490)  # of 960 frames
    heard, sound = made.recordings["tape"][0, middle], plain.recordings["tape"][0, middle]
    assert np.abs(sound).max() > 0.02 and np.abs(heard - sound / 2).max() < np.abs(sound).max() / 20
