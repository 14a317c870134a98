"""What a graph sounds like once all its fades are over, in numpy: of nodes that keep nothing but a delay line, to the bit."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np

from ..rig import RATE, Samples
from .arithmetic import gain_factor, mapped, matrix_factors, strip_factors
from .doubles import signal
from .second_opinion import Opinion, Output

Sound = Samples | None  # None: more than arithmetic can tell


class Sounding:
    """The sound of frames, counted from when time began. `at(node, first, frames)` of any node that hears something."""

    def __init__(self, opinion: Opinion) -> None:
        self._opinion = opinion
        self._widths = opinion.widths()
        self.output = functools.cache(self._output)

    def heard(self, target: str, first: int, frames: int) -> Sound:
        """What comes together at an input: silence, where nothing is connected. Floats are added in the order of the sources' ids."""
        width = self._widths[target]
        total = np.zeros((width, frames), np.float32)
        node_order = {name: list(node.ports("output")) for name, node in self._opinion.nodes.items()}
        heard = self._opinion.heard(target).items()
        for output, ways in sorted(
            heard, key=lambda item: (item[0].node, node_order[item[0].node].index(item[0].port))
        ):
            sound = self.output(output, first, frames)
            if sound is None:
                return None
            for _ in range(ways):
                total = total + mapped(sound, width)
        return total

    def _output(self, output: Output, first: int, frames: int) -> Sound:
        work = _WORK.get(self._opinion.nodes[output.node].spec.type)
        return work(self, output.node, first, frames) if work else None

    def _config(self, node: str) -> dict[str, Any]:
        return self._opinion.nodes[node].config

    def _signal(self, node: str, first: int, frames: int) -> Sound:
        config = self._config(node)
        return signal(config["seed"], config["channels"], first, frames) * gain_factor(
            _text({"gain_db": config["gain_db"]})
        )

    def _gain(self, node: str, first: int, frames: int) -> Sound:
        driven = any(wire.target == f"{node}.gain_db" for wire in self._opinion.wires)
        sound = self.heard(f"{node}.in", first, frames)
        return None if sound is None or driven else sound * gain_factor(_text(self._config(node)))

    def _mixer(self, node: str, first: int, frames: int) -> Sound:
        total = np.zeros((self._widths[f"{node}.out"], frames), np.float32)
        for number in range(len(self._config(node)["inputs"])):
            port = f"{node}.in_{number + 1}"
            if not self._opinion.heard(port):
                continue
            sound = self.heard(port, first, frames)
            if sound is None:
                return None
            factors = strip_factors(_text(self._config(node)), number, len(sound))
            placed = np.concatenate([sound, sound]) if len(sound) == 1 else sound
            for channel in range(min(len(placed), len(total))):
                if factors[channel] != 0:
                    total[channel] = total[channel] + placed[channel] * factors[channel]
        return total

    def _channel_map(self, node: str, first: int, frames: int) -> Sound:
        sound = self.heard(f"{node}.in", first, frames)
        if sound is None:
            return None
        matrix = matrix_factors(_text(self._config(node)))
        total = np.zeros((len(matrix), frames), np.float32)
        for row, factors in enumerate(matrix):
            for column, factor in enumerate(factors):
                if factor != 0:
                    total[row] = total[row] + sound[column] * factor
        return total

    def _delay(self, node: str, first: int, frames: int) -> Sound:
        config = self._config(node)
        assert (config["feedback"], config["mix"]) == (0.0, 1.0)
        late = min(round(config["time_ms"] * RATE / 1000), round(config["max_ms"] * RATE / 1000))
        return self.heard(f"{node}.in", first - late, frames)


_WORK: dict[str, Callable[[Sounding, str, int, int], Sound]] = {
    "signal": Sounding._signal,
    "gain": Sounding._gain,
    "mixer": Sounding._mixer,
    "channel_map": Sounding._channel_map,
    "delay": Sounding._delay,
}


def _text(config: dict[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)
