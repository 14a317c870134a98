"""What the tests of endpoints have in common: sounds, sound files made by other programs, and an audio thread played by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from tonnetz.daemon.endpoints.endpoint import Endpoint, EndpointState, MediaRoots, Surroundings
from tonnetz.daemon.graph.config import complete
from tonnetz.daemon.graph.spec import NodeSpec

from .ring_double import RingDouble

RATE = 48000
PATIENCE_S = 30.0  # the machine may stand still for seconds; what counts is what happens, not when

Samples = NDArray[np.float32]  # (channels, frames)


def noise(frames: int, channels: int = 2, bits: int = 24, seed: int = 1) -> Samples:
    """White noise at -6 dB of full scale, on the grid of so many bits: files of that depth hold it exactly."""
    scale = 1 << (bits - 1)
    codes = np.random.default_rng(seed).integers(-scale // 2, scale // 2, (channels, frames))
    return (codes / scale).astype(np.float32)


def sweep(frames: int, channels: int = 2, rate: int = RATE) -> Samples:
    """Sines that glide from 300 Hz upward, another one in every channel: any shift in time would be seen."""
    at = np.arange(frames) / rate
    return np.stack([0.4 * np.sin(2 * np.pi * (300 + 70 * c + 400 * at) * at) for c in range(channels)]).astype(
        np.float32
    )


# ---- Files -----------------------------------------------------------------------------------------------------------


def write_sound(path: Path, block: Samples, rate: int = RATE, **options: Any) -> Path:
    """A file made by libsndfile, in the format that its ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, block.T, rate, **options)
    return path


def encode(path: Path, block: Samples, codec: str, rate: int = RATE, **options: str) -> Path:
    """A file made by FFmpeg, as other programs make theirs."""
    with av.open(str(path), "w", container_options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[block.shape[0]]
        container.metadata.update({"title": "Étude", "artist": "Tonnetz"})
        for at in range(0, block.shape[1], 4096):
            frame = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(block[:, at : at + 4096].T).reshape(1, -1), format="flt", layout=stream.layout
            )
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def read_sound(path: Path) -> Samples:
    """A file as libsndfile reads it."""
    block, _ = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(block.T)


def decode(path: Path) -> Samples:
    """A file as FFmpeg reads it."""
    parts = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray()
            if not frame.format.is_planar:
                samples = samples.reshape(-1, frame.layout.nb_channels).T
            parts.append(samples)
    return np.concatenate(parts, axis=1)


# ---- Endpoints -------------------------------------------------------------------------------------------------------


@dataclass
class Place:
    """Surroundings in a folder of the test's own, and what was told."""

    folder: Path
    rate: int = RATE
    channels: int = 2
    states: list[EndpointState] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)

    def open(self, node_type: ModuleType, config: Mapping[str, Any]) -> Endpoint:
        """An endpoint that ends with the test, however that ends."""
        self.endpoints.append(node_type.open_endpoint("node", config, self.surroundings))
        return self.endpoints[-1]

    def close(self) -> None:
        for endpoint in self.endpoints:
            endpoint.close(0)
        assert all(endpoint.join(PATIENCE_S) for endpoint in self.endpoints)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(
            sample_rate=self.rate,
            block_frames=256,
            channels=self.channels,
            media=MediaRoots(play_roots=(self.folder,), record_root=self.folder / "recordings"),
            on_state=self.states.append,
            on_gap=self.gaps.append,
            make_ring=RingDouble,
        )

    @property
    def told(self) -> list[str]:
        return [state.name for state in self.states]


def config_of(spec: NodeSpec, given: Mapping[str, Any]) -> dict[str, Any]:
    config, problems = complete(spec, given)
    assert not problems, problems
    return config


def wait_for(condition: Callable[[], object]) -> None:
    """Until something has come true; the test fails where it never does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def take(endpoint: Endpoint, frames: int) -> Samples:
    """So many frames of what a player puts into its ring; fewer where it ends."""
    parts: list[Samples] = []
    left = frames
    deadline = time.monotonic() + PATIENCE_S
    while left:
        endpoint.ring.wait_frames(min(left, 4800), 100)
        parts.append(endpoint.ring.read(min(left, 4800)))
        left -= parts[-1].shape[1]
        if endpoint.ring.closed and endpoint.ring.taken == endpoint.ring.written:
            break
        assert time.monotonic() < deadline, f"{left} of {frames} frames never came: {endpoint.state}"
    return np.concatenate(parts, axis=1)


def play_out(endpoint: Endpoint) -> Samples:
    """All that a player ever puts into its ring."""
    return take(endpoint, 1 << 40)


def feed(endpoint: Endpoint, block: Samples, piece: int = 4096) -> None:
    """Gives a recorder a sound, piece by piece, as fast as it takes it."""
    deadline = time.monotonic() + PATIENCE_S
    at = 0
    while at < block.shape[1]:
        endpoint.ring.wait_space(piece, 100)
        at += endpoint.ring.write(block[:, at : at + piece])
        assert time.monotonic() < deadline, f"the recorder takes nothing: {endpoint.state}"


def finish(endpoint: Endpoint, length: int | None = None) -> EndpointState:
    """Ends an endpoint and waits until it is gone."""
    endpoint.close(length)
    assert endpoint.join(PATIENCE_S), f"still at work: {endpoint.state}"
    return endpoint.state
