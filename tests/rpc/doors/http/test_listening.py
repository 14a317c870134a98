"""Sound over HTTP: what players get can be played, and what comes over a WebSocket is what the port gave out."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator

import aiohttp
import av
import numpy as np
import pytest
import pytest_asyncio

from .conftest import Web

PATIENCE_S = 60.0


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def collected(http: aiohttp.ClientSession, web: Web, format: str, size: int) -> bytes:
    """The beginning of a stream."""
    data = b""
    async with http.get(f"{web.base}/api/listen/tone/out.{format}") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg"}[format]
        async with asyncio.timeout(PATIENCE_S):
            async for piece in answer.content.iter_any():
                data += piece
                if len(data) > size:
                    return data
    raise AssertionError("the stream ended")


@pytest.fixture(scope="module", autouse=True)
def tone(live: Web) -> None:
    with live.daemon.client() as client:
        client.call("graph.add_node", type="tone", id="tone", config={"frequency": 1000, "level_db": -6})


@pytest.mark.parametrize(("format", "size"), [("wav", 200_000), ("mp3", 30_000), ("ogg", 20_000)])
async def test_players_can_play_it(live: Web, http: aiohttp.ClientSession, format: str, size: int) -> None:
    data = await collected(http, live, format, size)
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        assert stream.rate == 48000 and stream.codec_context.channels == 2
        frames = []
        with contextlib.suppress(av.error.FFmpegError):  # it ends in the middle of something
            frames += [frame.to_ndarray() for frame in container.decode(stream)]
    sound = np.concatenate(frames, axis=1)
    if format == "wav":
        sound = sound.reshape(-1, 2).T / 32768
    middle = sound[0].astype(np.float64)[4800:28800]
    peak = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))).argmax() * 48000 / len(middle)
    assert abs(peak - 1000) < 3 and 0.4 < np.abs(middle).max() < 0.6


@pytest.mark.parametrize(("format", "kind", "scale"), [("f32", "<f4", 1.0), ("s16", "<i2", 32767.0)])
async def test_pcm_over_a_websocket(
    live: Web, http: aiohttp.ClientSession, format: str, kind: str, scale: float
) -> None:
    client = await http.ws_connect(f"{live.base}/api/ws/listen/tone/out?format={format}")
    about = json.loads(await client.receive_str(timeout=PATIENCE_S))
    assert about == {"type": "sound", "port": "tone.out", "sample_rate": 48000, "channels": 2, "format": format}
    sound = np.zeros((0, 2))
    while len(sound) < 10_000:
        message = await client.receive(timeout=PATIENCE_S)
        if message.type is aiohttp.WSMsgType.BINARY:
            sound = np.concatenate([sound, np.frombuffer(message.data, kind).reshape(-1, 2) / scale])
        else:
            sound = np.zeros((0, 2))  # some were missed, by a machine that was held up
    expected_step = (2 * np.pi * 1000 / 48000) ** 2
    assert np.abs(np.diff(sound[:, 0], n=2) + expected_step * sound[1:-1, 0]).max() < 0.0015, "without a gap"
    assert np.abs(sound).max() == pytest.approx(0.5, abs=0.01)


async def test_what_can_not_be_heard(live: Web, http: aiohttp.ClientSession) -> None:
    assert live.curl("GET", "/api/listen/nobody/out.wav").json["error"]["name"] == "not_found"
    assert live.curl("GET", "/api/listen/tone/in.wav").json["error"]["name"] == "not_found"
    assert live.curl("GET", "/api/listen/tone/out.aiff").status == 404
    assert live.curl("GET", "/api/ws/listen/tone/out?format=mp3").json["error"]["name"] == "invalid_params"


async def test_it_ends_with_its_port(live: Web, http: aiohttp.ClientSession) -> None:
    with live.daemon.client() as control:
        control.call("graph.add_node", type="tone", id="brief")
        client = await http.ws_connect(f"{live.base}/api/ws/listen/brief/out")
        while (await client.receive(timeout=PATIENCE_S)).type is not aiohttp.WSMsgType.BINARY:
            pass
        control.call("graph.remove_node", id="brief")
        while (message := await client.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.BINARY:
            pass
        assert json.loads(message.data) == {"type": "gone", "port": "brief.out"}


async def test_sixteen_may_listen(live: Web, http: aiohttp.ClientSession) -> None:
    clients = [await http.ws_connect(f"{live.base}/api/ws/listen/tone/out") for _ in range(16)]
    refused = live.curl("GET", "/api/listen/tone/out.mp3")
    assert refused.status == 503 and refused.headers["retry-after"] == "10"
    for client in clients:
        await client.close()
    async with asyncio.timeout(PATIENCE_S):
        while await status(http, live) != 200:  # noqa: ASYNC110 - the daemon tells nobody
            await asyncio.sleep(0.05)


async def status(http: aiohttp.ClientSession, web: Web) -> int:
    async with http.get(f"{web.base}/api/listen/tone/out.wav") as answer:
        return answer.status
