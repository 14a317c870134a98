"""Node types with nothing outside behind them: a signal that is known for every frame there will ever be, and an ear. A session that has them
plays without threads and files, so what its graph gives can be compared with arithmetic at any moment."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tonnetz.daemon.endpoints.endpoint import EndpointState, MediaRoots, Surroundings
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.problems import Problem
from tonnetz.daemon.session import Session

from ..rig import Samples

PERIOD = 32749  # frames after which a signal repeats: a prime, so no block ever looks like another one
ROOM = 2048  # frames that a ring holds, and so the most that may be played at a time

_CHANNELS = ParameterSpec(
    name="channels", kind="int", default=1, minimum=1, maximum=8, structure=True, core=False, help="Channels."
)
SIGNAL = NodeSpec(
    type="signal",
    category="source",
    core_type="ring_source",
    help="Noise that depends on its seed and the frame alone.",
    parameters=(
        ParameterSpec(name="seed", kind="int", default=0, minimum=0, maximum=9, core=False, help="Which noise."),
        ParameterSpec(name="gain_db", kind="float", unit="dB", default=0.0, minimum=-60, maximum=24, help="Level."),
        _CHANNELS,
    ),
    ports=(PortSpec(name="out", direction="output", rule="parameter", channels_parameter="channels", help="Noise."),),
)
EAR = NodeSpec(
    type="ear",
    category="sink",
    core_type="ring_sink",
    help="Keeps what it hears.",
    parameters=(_CHANNELS,),
    ports=(PortSpec(name="in", direction="input", rule="parameter", channels_parameter="channels", help="Sound."),),
)


@functools.cache
def _noise(seed: int, channels: int) -> Samples:
    return np.random.default_rng((seed, channels)).uniform(-0.5, 0.5, (channels, PERIOD)).astype(np.float32)


def signal(seed: int, channels: int, first: int, frames: int) -> Samples:
    """What a signal of this seed gives from frame `first` on, before its gain."""
    return _noise(seed, channels)[:, (first + np.arange(frames)) % PERIOD]


class Double:
    """An endpoint that works when it is told to. `begin`: the frame with which its ring began."""

    def __init__(self, config: Mapping[str, Any], surroundings: Surroundings, begin: int) -> None:
        self.config = config
        self.begin = begin
        self.channels = surroundings.channels
        self.ring = surroundings.make_ring(surroundings.channels, ROOM)
        self.started = self.closed = False

    @property
    def state(self) -> EndpointState:
        return EndpointState("ended" if self.closed else "running" if self.started else "starting")

    def start(self) -> None:
        assert not self.started
        assert not self.closed
        self.started = True

    def configure(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def close(self, length: int | None = None) -> None:
        self.closed = True
        self.ring.close()

    def join(self, timeout_s: float) -> bool:
        return True


class Doubles:
    """All that a session has had of both types. `time` is told by the session's engine, `origin` frames ahead of it."""

    def __init__(self, session: Session, origin: int = 0) -> None:
        self.origin = origin
        self.all: list[Double] = []
        self._engine = session.engine
        for spec in (SIGNAL, EAR):
            session.catalogue[spec.type] = spec
            session.outside_types[spec.type] = _Type(spec, self._open)

    @property
    def time(self) -> int:
        return self.origin + self._engine.frame

    def _open(self, config: Mapping[str, Any], surroundings: Surroundings) -> Double:
        double = Double(config, surroundings, self.time)
        self.all.append(double)
        return double

    def fill(self) -> None:
        """Gives every signal something to play; what has ended is left alone."""
        for double in self.all:
            if "seed" in double.config and not double.closed:
                written, ring = double.ring.written, double.ring
                space = ring.capacity - (written - ring.taken)
                assert (
                    ring.write(signal(double.config["seed"], double.channels, double.begin + written, space)) == space
                )
                assert ring.missed == 0


class _Type:
    """What a file of daemon/node_types is to the daemon."""

    def __init__(self, spec: NodeSpec, make: Callable[[Mapping[str, Any], Surroundings], Double]) -> None:
        self.SPEC = spec
        self._make = make

    def check(self, config: Mapping[str, Any], media: MediaRoots) -> list[Problem]:
        return []

    def open_endpoint(self, node_id: str, config: Mapping[str, Any], surroundings: Surroundings) -> Double:
        return self._make(config, surroundings)

    def restart_needed(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        return bool(old.get("seed") != new.get("seed"))
