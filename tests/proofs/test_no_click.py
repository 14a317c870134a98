"""No click: whatever is done to a graph with a fade, what it gives moves no faster than fades do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from .storm import Storm
from .studio import document, node, recorder, studio

LEVEL = 0.25  # of each source, a constant: then all movement comes from fades
TYPES = ("gain", "gain", "mixer", "mixer", "channel_map", "delay", "delay", "equalizer")  # constant for constant, too
SERIES = 3.5  # fades one after another on a way add their steepness: so many at their steepest at once is plenty


def constant(folder: Path, name: str, channels: int) -> dict[str, Any]:
    soundfile.write(folder / "constant.wav", np.full(48000, LEVEL), 48000, subtype="FLOAT")
    return node(name, "file_player", path="constant.wav", loop=True, channels=channels)


@pytest.mark.parametrize("fades_ms", [(20.0, 50.0), (5.0,)], ids=["long fades", "short fades"])
@pytest.mark.parametrize("seed", range(12))
async def test_nothing_jumps_in_a_storm_of_fades(seed: int, fades_ms: tuple[float, ...], tmp_path: Path) -> None:
    sources = [constant(tmp_path, "one", 1), constant(tmp_path, "two", 2)]
    async with studio(tmp_path, document([*sources, recorder("wild", 1)], "one.out > wild.in")) as made:
        storm = Storm(made, seed, {"one", "two"}, TYPES, fades_ms, strategies=("fade", "drain", "bridge"))
        for _ in range(120):
            await storm.rage()
            await made.session.runtime.step(storm.chance.randint(1, 8))
    sound = made.recordings["wild"][0]
    steepest = np.pi / 2 / (min(fades_ms) * 48)  # of a raised cosine from 0 to 1, per frame
    steps = np.abs(np.diff(sound))
    most = SERIES * steepest * max(float(np.abs(sound).max()), LEVEL)
    assert steps.max() < most, f"a click of {steps.max():.3f} at frame {steps.argmax() + 1}"
    assert steps.max() > 0.1 * steepest * LEVEL, "nothing happened"
