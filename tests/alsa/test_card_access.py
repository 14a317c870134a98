"""The virtual card's other ways in, which pyalsaaudio does not have: memory mapped and not interleaved. The client is libasound itself."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from typing import Any

import cffi
import numpy as np
import pytest
from numpy.typing import NDArray

from .virtual_card import VirtualCard

MakeCard = Callable[..., VirtualCard]
PERIOD, BUFFER, CHANNELS, RATE = 32, 128, 3, 48_000
PLAYBACK, CAPTURE, S32_LE = 0, 1, 10  # ALSA's numbers
ACCESSES = {"mmap_interleaved": 0, "mmap_noninterleaved": 1, "rw_interleaved": 3, "rw_noninterleaved": 4}

ffi = cffi.FFI()
ffi.cdef("""
    typedef struct { void *addr; unsigned first, step; } area;
    int snd_pcm_open(void **pcm, const char *name, int stream, int mode);
    int snd_pcm_close(void *pcm);
    int snd_pcm_set_params(void *, int format, int access, unsigned channels, unsigned rate, int resample, unsigned us);
    int snd_pcm_get_params(void *pcm, unsigned long *buffer, unsigned long *period);
    int snd_pcm_start(void *pcm);
    int snd_pcm_prepare(void *pcm);
    int snd_pcm_wait(void *pcm, int ms);
    long snd_pcm_avail(void *pcm);
    int snd_pcm_delay(void *pcm, long *frames);
    int snd_pcm_mmap_begin(void *pcm, const area **areas, unsigned long *offset, unsigned long *frames);
    long snd_pcm_mmap_commit(void *pcm, unsigned long offset, unsigned long frames);
    long snd_pcm_writen(void *pcm, void **buffers, unsigned long frames);
    long snd_pcm_readn(void *pcm, void **buffers, unsigned long frames);
    long snd_pcm_writei(void *pcm, void *buffer, unsigned long frames);
    long snd_pcm_readi(void *pcm, void *buffer, unsigned long frames);
""")
alsa: Any = ffi.dlopen("libasound.so.2")


class Stream:
    """One direction of a card, driven in one way of access."""

    def __init__(self, card: VirtualCard, direction: int, access: str) -> None:
        handle = ffi.new("void **")
        assert alsa.snd_pcm_open(handle, card.device.encode(), direction, 1) == 0
        self.pcm = handle[0]
        self.mapped = access.startswith("mmap")
        self.apart = access.endswith("noninterleaved")
        latency_us = BUFFER * 1_000_000 // RATE
        assert alsa.snd_pcm_set_params(self.pcm, S32_LE, ACCESSES[access], CHANNELS, RATE, 0, latency_us) == 0
        buffer, period = ffi.new("unsigned long *"), ffi.new("unsigned long *")
        assert alsa.snd_pcm_get_params(self.pcm, buffer, period) == 0
        self.buffer = int(buffer[0])

    def _regions(self, frames: int) -> Iterator[tuple[int, int, list[NDArray[Any]]]]:
        """Parts of the buffer, with a view of each channel."""
        done = 0
        while done < frames:
            areas, offset, count = (
                ffi.new("area **"),
                ffi.new("unsigned long *"),
                ffi.new("unsigned long *", frames - done),
            )
            assert alsa.snd_pcm_mmap_begin(self.pcm, areas, offset, count) == 0
            views = []
            for channel in range(CHANNELS):
                area = areas[0][channel]
                start = ffi.cast("char *", area.addr) + area.first // 8 + area.step // 8 * offset[0]
                whole = np.frombuffer(ffi.buffer(start, area.step // 8 * (count[0] - 1) + 4), "u1")
                views.append(np.lib.stride_tricks.as_strided(whole[:4].view("<i4"), (count[0],), (area.step // 8,)))
            yield done, int(count[0]), views
            assert alsa.snd_pcm_mmap_commit(self.pcm, offset[0], count[0]) == count[0]
            done += int(count[0])

    def write(self, samples: NDArray[Any]) -> int:
        """Samples (channels, frames)."""
        frames = samples.shape[1]
        if self.mapped:
            for done, count, views in self._regions(frames):
                for channel, view in enumerate(views):
                    view[:] = samples[channel, done : done + count]
            return frames
        return int(self._call(alsa.snd_pcm_writen, alsa.snd_pcm_writei, samples, frames))

    def read(self, frames: int) -> NDArray[Any]:
        samples = np.zeros((CHANNELS, frames), "<i4")
        if self.mapped:
            for done, count, views in self._regions(frames):
                for channel, view in enumerate(views):
                    samples[channel, done : done + count] = view
            return samples
        if self.apart:
            assert self._call(alsa.snd_pcm_readn, None, samples, frames) == frames
            return samples
        interleaved = np.zeros((frames, CHANNELS), "<i4")
        assert alsa.snd_pcm_readi(self.pcm, ffi.from_buffer(interleaved), frames) == frames
        return interleaved.T

    def _call(self, apart: Any, interleaved: Any, samples: NDArray[Any], frames: int) -> int:
        if self.apart:
            rows = [ffi.cast("void *", ffi.from_buffer(row)) for row in samples]
            return int(apart(self.pcm, ffi.new("void *[]", rows), frames))
        return int(interleaved(self.pcm, ffi.from_buffer(np.ascontiguousarray(samples.T)), frames))

    def delay(self) -> int:
        frames = ffi.new("long *")
        error = alsa.snd_pcm_delay(self.pcm, frames)
        return int(frames[0]) if error == 0 else int(error)


@pytest.mark.parametrize("access", ACCESSES)
def test_played_and_captured_by_every_access(make_card: MakeCard, access: str) -> None:
    card = make_card(stepped=True)
    card.advance(77)
    values = np.random.default_rng(2).integers(-(1 << 31), 1 << 31, (CHANNELS, 1000)).astype("<i4")
    playback, capture = (Stream(card, direction, access) for direction in (PLAYBACK, CAPTURE))
    at = playback.write(values[:, : playback.buffer])  # set_params starts a stream when its buffer is full
    if playback.mapped:
        assert alsa.snd_pcm_start(playback.pcm) == 0  # but not when the buffer is mapped
    assert alsa.snd_pcm_start(capture.pcm) == 0
    heard = []
    while at < 1000:
        card.advance(PERIOD)
        assert alsa.snd_pcm_avail(playback.pcm) == alsa.snd_pcm_avail(capture.pcm) == PERIOD
        assert (playback.delay(), capture.delay()) == (playback.buffer - PERIOD, PERIOD)
        heard.append(capture.read(PERIOD))
        at += playback.write(values[:, at : at + PERIOD])
    heard = np.concatenate(heard, axis=1)
    assert np.array_equal(heard, values[:, : heard.shape[1]])
    samples, live = card.played(77, 1000)
    assert live.all() and np.array_equal(samples[:CHANNELS] * 2**31, values)
    card.advance(2000)
    assert alsa.snd_pcm_wait(playback.pcm, 1000) == -errno.EPIPE
    assert playback.delay() == -errno.EPIPE
    assert alsa.snd_pcm_avail(capture.pcm) == -errno.EPIPE
    assert alsa.snd_pcm_prepare(playback.pcm) == 0
    for stream in (playback, capture):
        alsa.snd_pcm_close(stream.pcm)


def test_mapping_can_be_withheld(make_card: MakeCard) -> None:
    card = make_card(mmap_access=False)
    with pytest.raises(AssertionError):
        Stream(card, PLAYBACK, "mmap_interleaved")
    Stream(card, CAPTURE, "rw_interleaved")
