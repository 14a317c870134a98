"""One node of the real core on a bench: arrays go in, arrays come out, edits happen on the way.

Sources and sinks are rings, the clock is stepped by hand, so nothing depends on time or on other threads.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tonnetz.daemon.engine.core import CoreCommit, CoreEngine, CoreLink, CoreNode, CorePlan, Route, catalogue_json
from tonnetz.daemon.engine.node_state import restore, state_of
from tonnetz.daemon.engine.ring import Ring
from tonnetz.daemon.graph.config import complete, flatten, structure_of
from tonnetz.daemon.graph.model import Connection, Graph, Node
from tonnetz.daemon.graph.node_state import NodeState
from tonnetz.daemon.graph.ports import NodeChannels, resolve_channels
from tonnetz.daemon.graph.spec import Catalogue
from tonnetz.daemon.node_catalogue import load_catalogue

RATE = 48000

Samples = NDArray[np.float32]  # (channels, frames)


@functools.cache
def catalogue() -> Catalogue:
    """The node types that run in the core alone."""
    alone = {record["type"] for record in msgspec.json.decode(catalogue_json()) if not record["internal"]}
    return {name: spec for name, spec in load_catalogue()[0].items() if name in alone}


@dataclass(frozen=True)
class Edit:
    """At `frame` (a multiple of the block) `config` is laid over the present one. Where that needs another node object,
    it takes the place of the old one at once, with its state."""

    frame: int
    config: Mapping[str, Any]
    ramp_frames: int | None = None  # None: the type's own


def configured(node_type: str, given: Mapping[str, Any], base: Mapping[str, Any] | None = None) -> dict[str, Any]:
    config, problems = complete(catalogue()[node_type], given, base)
    assert not problems, problems
    return config


def channels_of(node_type: str, config: Mapping[str, Any], widths: Mapping[str, int]) -> NodeChannels:
    """The channels of a node's ports when sources of these widths feed it."""
    nodes = {"subject": Node(id="subject", type=node_type, config=config)}
    connections = {}
    for number, (port, width) in enumerate(widths.items()):
        source = f"source_{number}"
        nodes[source] = Node(id=source, type="tone", config=configured("tone", {"channels": width}))
        wire = Connection(f"{source}.out", f"subject.{port}")
        connections[wire.id] = wire
    return resolve_channels(Graph(nodes=nodes, connections=connections), catalogue())["subject"]


class Bench:
    """A node between rings. `step` runs blocks; what has come out so far is in `outputs`."""

    def __init__(
        self,
        node_type: str,
        config: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Samples] | None = None,
        *,
        block: int = 256,
        rate: int = RATE,
        room: int = 0,
        state: NodeState | None = None,
    ) -> None:
        """`room`: the most frames that will come out, where they are more than go in; `state`: what it begins with."""
        self.type, self.block, self.rate = node_type, block, rate
        self.inputs = {name: np.atleast_2d(np.asarray(sound, np.float32)) for name, sound in (inputs or {}).items()}
        self.config = configured(node_type, config or {})
        self.channels = channels_of(node_type, self.config, {name: len(sound) for name, sound in self.inputs.items()})
        self.engine = CoreEngine(rate, block, "step")
        room = max([room, 1, *(sound.shape[1] for sound in self.inputs.values())]) + block
        self.sources = {name: self._source(sound) for name, sound in self.inputs.items()}
        self.rings = {name: Ring(width, room) for name, width in self.channels.outputs.items()}
        self.sinks = {
            name: self._node("ring_sink", [ring.channels], [], [], ring=ring) for name, ring in self.rings.items()
        }
        self.node = self._subject()
        if state is not None:
            restore("subject", self.node, state, 0)
        self._commit(CoreCommit(1, self._plan()))
        self.engine.start()
        self._heard: dict[str, list[Samples]] = {name: [] for name in self.rings}

    def _node(
        self, core_type: str, inputs: Sequence[int], outputs: Sequence[int], values: Sequence[float], **more: Any
    ) -> CoreNode:
        return CoreNode(
            core_type,
            sample_rate=self.rate,
            block_frames=self.block,
            inputs=inputs,
            outputs=outputs,
            values=values,
            **more,
        )

    def _source(self, sound: Samples) -> CoreNode:
        ring = Ring(sound.shape[0], max(sound.shape[1], 1))
        assert ring.write(sound) == sound.shape[1]
        ring.close()  # so what is missing at the end is silence
        return self._node("ring_source", [], [ring.channels], [0.0], ring=ring)

    def _subject(self) -> CoreNode:
        values, count = flatten(catalogue()[self.type], self.config)
        inputs, outputs = list(self.channels.inputs.values()), list(self.channels.outputs.values())
        return self._node(self.type, inputs, outputs, values, list_count=count)

    def _plan(self) -> CorePlan:
        nodes = [self.node, *self.sources.values(), *self.sinks.values()]
        into = list(self.channels.inputs)
        routes = [
            Route(CoreLink(True), number, 0, 0, into.index(name), False)
            for number, name in enumerate(self.sources, start=1)
        ]
        routes += [
            Route(CoreLink(True), 0, port, 1 + len(self.sources) + port, 0, False) for port in range(len(self.sinks))
        ]
        return CorePlan(nodes, routes, self.block)

    def _commit(self, commit: CoreCommit) -> None:
        self.engine.submit(commit)

    def edit(self, config: Mapping[str, Any], ramp_frames: int | None = None) -> None:
        """Lays `config` over the present one, from the next block on."""
        spec, old = catalogue()[self.type], self.config
        self.config = configured(self.type, config, old)
        if structure_of(spec, self.config) != structure_of(spec, old):
            widths = {name: len(sound) for name, sound in self.inputs.items()}
            self.channels = channels_of(self.type, self.config, widths)
            predecessor, self.node = self.node, self._subject()
            commit = CoreCommit(2, self._plan())
            if predecessor.transfers:
                commit.transfer(predecessor, self.node)
        else:
            commit = CoreCommit(2, None)
            commit.set(self.node, flatten(spec, self.config)[0], ramp_frames)
        self._commit(commit)

    def state(self) -> NodeState:
        """What the sound so far has left in the node."""
        copy = self._subject()
        commit = CoreCommit(3, None)
        commit.copy(self.node, copy)
        self._commit(commit)
        self.engine.events()
        return state_of(copy, self.type)

    def step(self, blocks: int) -> None:
        self.engine.step(blocks, 1000)
        self.engine.events()
        for name, ring in self.rings.items():
            self._heard[name].append(ring.read(blocks * self.block).copy())

    def forget(self) -> None:
        """Drops what has come out so far."""
        self._heard = {name: [] for name in self.rings}

    @property
    def outputs(self) -> dict[str, Samples]:
        return {name: np.concatenate(heard, axis=1) for name, heard in self._heard.items() if heard}


def render(
    node_type: str,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Samples] | None = None,
    frames: int | None = None,
    *,
    block: int = 256,
    edits: Sequence[Edit] = (),
    rate: int = RATE,
) -> dict[str, Samples]:
    """What comes out of each port in `frames` frames, by default as many as go in: {port: (channels, frames)}.

    `inputs`: {port: (channels, n)}; shorter ones are followed by silence. Ports that are left out are not connected.
    """
    if frames is None:
        frames = max(np.shape(sound)[-1] for sound in (inputs or {}).values())
    bench = Bench(node_type, config, inputs, block=block, rate=rate, room=frames)
    done = 0
    for edit in sorted(edits, key=lambda edit: edit.frame):
        assert edit.frame % block == 0, "an edit is adopted between blocks"
        if edit.frame > done:
            bench.step((edit.frame - done) // block)
            done = edit.frame
        bench.edit(edit.config, edit.ramp_frames)
    if frames > done:
        bench.step(-(-(frames - done) // block))
    assert bench.node.faults == 0, "the core muted the node: NaN or Inf came out"
    return {name: sound[:, :frames] for name, sound in bench.outputs.items()}


# ---- Sounds --------------------------------------------------------------------------------------------------------


def noise(frames: int, channels: int = 1, peak: float = 0.5, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).uniform(-peak, peak, (channels, frames)).astype(np.float32)


def sine(frequency: float, frames: int, level_db: float = 0.0, rate: int = RATE) -> Samples:
    """One channel."""
    time = np.arange(frames) / rate
    return (10 ** (level_db / 20) * np.sin(2 * np.pi * frequency * time)).astype(np.float32)[None, :]


def impulse(frames: int, channels: int = 1, at: int = 0) -> Samples:
    sound = np.zeros((channels, frames), np.float32)
    sound[:, at] = 1.0
    return sound


def gently(way: Any) -> NDArray[np.float64]:
    """How far a glide from rest to rest has come when so much of its time is over, 0 … 1."""
    passed = np.clip(np.asarray(way, np.float64), 0, 1)
    return passed**2 * (3 - 2 * passed)


# ---- Measures ------------------------------------------------------------------------------------------------------


def decibels(values: Any) -> NDArray[np.float64]:
    """20 log10 of magnitudes; 0 is -400 dB."""
    return 20 * np.log10(np.maximum(np.abs(values), 1e-20))


def tail_free(sound: Samples) -> NDArray[np.float64]:
    """One channel, its first and last eighth faded by a raised cosine: its spectrum does not show where it is cut."""
    faded = np.asarray(sound, np.float64).reshape(-1).copy()
    edge = faded.size // 8
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(edge) / edge)
    faded[:edge] *= rise
    faded[-edge:] *= rise[::-1]
    return faded


def splash_db(sound: Samples, frequency: float, away: float = 500.0, rate: int = RATE) -> tuple[float, float]:
    """What one channel with a sine in it contains farther than `away` Hz from the sine: the loudest component (the
    amplitude of a sine as long as the sound) and the highest peak of all of it together, both in dBFS.
    """
    faded = tail_free(sound)
    spectrum = np.fft.rfft(faded)
    spectrum[np.abs(np.fft.rfftfreq(faded.size, 1 / rate) - frequency) <= away] = 0.0
    rest = np.fft.irfft(spectrum, faded.size)
    component = np.abs(spectrum).max() / faded.size * 2
    return float(decibels(component)), float(decibels(np.abs(rest).max()))


def level_db(sound: Samples) -> float:
    """The rms of one channel in dB below that of a full-scale sine."""
    return float(decibels(np.sqrt(2 * np.mean(np.asarray(sound, np.float64) ** 2))))
