"""Sound cards for machines without any: ALSA devices whose clock, limits and faults a test sets, and what they played.

    card = VirtualCard(tmp_path, ppm=200, formats=("S16_LE",))
    alsaaudio.PCM(device=card.device, ...)          # in any process that has card.environment set
    samples, live = card.played(first=0, frames=480)

What is played to a card can be captured from it, in the same frames. The plugin behind it is written in C, beside this
file; it is compiled when first needed. Where ALSA_CONFIG_PATH is set, it may be set at any time: libasound looks again
at every opening.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import math
import mmap
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import alsaaudio
import cffi
import numpy as np
from numpy.typing import ArrayLike, NDArray

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "virtual_card"
SOURCES = sorted(HERE.glob("card_*.[ch]"))
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-DPIC", "-shared"]

BYTES = {"S16_LE": 2, "S24_LE": 4, "S24_3LE": 3, "S32_LE": 4, "FLOAT_LE": 4}  # of a sample in each format a card knows

CONFIGURATION = """
</usr/share/alsa/alsa.conf>
pcm_type.tzcard { lib "@LIBRARY@" }
ctl_type.tzcard { lib "@LIBRARY@" }
pcm.tzcard { @args [ FILE ] @args.FILE { type string } type tzcard file $FILE }
ctl.tzcard { @args [ FILE ] @args.FILE { type string } type tzcard file $FILE }
"""

Direction = Literal["playback", "capture"]
DIRECTIONS: tuple[Direction, Direction] = ("playback", "capture")


@functools.cache
def configuration() -> Path:
    """The asound.conf that knows `tzcard:FILE`. Compiles the plugin first, unless the same sources were compiled before.

    Several may do so at once: what they make is the same, and only put in place when it is complete.
    """
    made_of = hashlib.sha256("\n".join([*FLAGS, *(path.read_text() for path in SOURCES)]).encode()).hexdigest()[:16]
    target = BUILD / made_of
    if not target.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
            new = Path(scratch, "new")
            new.mkdir()
            sources = [path for path in SOURCES if path.suffix == ".c"]
            subprocess.run(["gcc", *FLAGS, "-o", new / "tzcard.so", *sources, "-lasound", "-lm"], check=True)
            (new / "asound.conf").write_text(CONFIGURATION.replace("@LIBRARY@", str(target / "tzcard.so")))
            try:
                new.rename(target)
            except OSError as refused:
                if refused.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise  # otherwise somebody else was quicker
    return target / "asound.conf"


@functools.cache
def layout() -> cffi.FFI:
    """The card's page as the header beside this file declares it."""
    found = re.search(
        r"/\* For Python: begin \*/(.*)/\* For Python: end \*/", (HERE / "card_page.h").read_text(), re.DOTALL
    )
    assert found is not None
    page = cffi.FFI()
    page.cdef(re.sub(r"/\*.*?\*/", "", found[1], flags=re.DOTALL))
    return page


@functools.cache
def constant(name: str) -> int:
    """A number that the header beside this file defines."""
    (value,) = re.findall(rf"#define {name} (\S+)", (HERE / "card_page.h").read_text())
    return int(value, 0)


def named(folder: Path, cards: Mapping[str, VirtualCard]) -> dict[str, str]:
    """The environment in which cards have names that ALSA lists, as an asound.conf gives them; `hw` stands for `hw:0` too."""
    path = folder / "asound.conf"
    arguments = "".join(f'@args.{name} {{ type string default "" }} ' for name in ("CARD", "DEV"))
    path.write_text(
        f"<{configuration()}>\n"
        + "".join(
            f'{kind}.!{name} {{ @args [ CARD DEV ] {arguments} type tzcard file "{card.file}"\n'
            f'    hint {{ show on description "The card of {name}" }} }}\n'
            for name, card in cards.items()
            for kind in ("pcm", "ctl")
        )
    )
    return {"ALSA_CONFIG_PATH": str(path)}


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Waits until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        time.sleep(0.001)


class VirtualCard:
    """One card: a file in `folder`, through which clients in any process and the test see each other.

    `stepped` cards stand still until `advance`; others run `ppm` parts in a million too fast. `formats`, `rates`,
    `channels`, `periods` and `mmap` are what a client may choose from; `period_frames` needs a single format and number
    of channels, as ALSA limits bytes. `frames_kept` is how much of the past `played` and a capture can see; a client's
    buffer is at most half of it.
    """

    def __init__(
        self,
        folder: Path,
        name: str = "card",
        *,
        ppm: float = 0,
        stepped: bool = False,
        formats: Iterable[str] = tuple(BYTES),
        rates: tuple[int, int] = (8000, 384_000),
        channels: tuple[int, int] = (1, 8),
        period_frames: tuple[int, int] | None = None,
        periods: tuple[int, int] = (2, 1024),
        mmap_access: bool = True,
        frames_kept: int = 1 << 17,
    ) -> None:
        self.file = folder / f"{name}.card"
        self.device = f"tzcard:{self.file}"
        self.environment = {"ALSA_CONFIG_PATH": str(configuration())}
        formats = tuple(formats)
        page_bytes = constant("CARD_PAGE_BYTES")
        slot = np.dtype([("stamp", "<u8"), ("samples", "<f8", (channels[1],))])
        with self.file.open("xb") as file:
            file.truncate(page_bytes + frames_kept * slot.itemsize)
        self._handle = os.open(self.file, os.O_RDWR | os.O_CLOEXEC)
        self._memory = mmap.mmap(self._handle, 0)
        self._slots: NDArray[Any] = np.frombuffer(self._memory, slot, frames_kept, page_bytes)
        self._ffi = layout()
        self.page: Any = self._ffi.cast("struct card_page *", self._ffi.from_buffer(self._memory))
        page = self.page
        page.formats = sum(1 << getattr(alsaaudio, f"PCM_FORMAT_{format}") for format in formats)
        page.rate_min, page.rate_max = rates
        page.channels_min, page.channels_max = channels
        page.periods_min, page.periods_max = periods
        smallest = channels[0] * min(BYTES[format] for format in formats)
        largest = channels[1] * max(BYTES[format] for format in formats)
        if period_frames is not None:
            assert smallest == largest, "to limit periods, give a card one format and one number of channels"
        least, most = period_frames or (16, frames_kept // 4)
        page.period_bytes_min, page.period_bytes_max = least * smallest, most * largest
        page.buffer_bytes_min = page.period_bytes_min * periods[0]
        page.buffer_bytes_max = min(frames_kept // 2 * largest, page.period_bytes_max * periods[1])
        page.mmap, page.stepped, page.slots = mmap_access, stepped, frames_kept
        for fader in page.faders:
            fader.volume, fader.on = [constant("CARD_MIXER_TOP")] * 2, [1, 1]
        page.clocks[0] = {"anchor_ns": time.monotonic_ns(), "device_ns": 0.0, "speed": 1 + ppm / 1e6}
        page.magic = constant("CARD_MAGIC")  # last: now it may be opened

    # ---- What clients do with it ----

    @property
    def playback(self) -> Any:
        """The `struct card_stream` of card_page.h: `frames` written, `running`, `start_frame`, `xruns`, `rate` and so on."""
        return self.page.streams[0]

    @property
    def capture(self) -> Any:
        """The same for the other direction: `frames` read."""
        return self.page.streams[1]

    def played(self, first: int, frames: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """What sounded from the device's frame `first` on: samples (channels, frames), and in which frames anything did."""
        stamps = np.arange(first, first + frames)
        slots = self._slots[stamps % len(self._slots)]
        live = slots["stamp"] == stamps + 1
        return np.where(live[:, None], slots["samples"], 0.0).T, live

    def feed(self, first: int, samples: ArrayLike) -> None:
        """Lets a capture hear samples (channels, frames) from the device's frame `first` on, as if they were played."""
        given = np.asarray(samples, dtype=np.float64)
        stamps = np.arange(first, first + given.shape[1])
        slots = np.zeros(given.shape[1], self._slots.dtype)
        slots["samples"][:, : given.shape[0]] = given.T
        slots["stamp"] = stamps + 1
        self._slots[stamps % len(self._slots)] = slots

    # ---- Its clock ----

    def frame(self, rate: int = 48_000) -> int:
        """Where the device is now, in frames of a rate; of a stepped card in frames of any rate."""
        if self.page.stepped:
            return int(self.page.frame)
        return math.floor(self._device_ns() * rate / 1e9)

    def advance(self, frames: int) -> None:
        """Moves a stepped card on. Clients that wait in poll() learn of it within some milliseconds."""
        assert self.page.stepped, "this card has a clock of its own"
        self.page.frame += frames

    def set_ppm(self, ppm: float) -> None:
        """From now on the clock runs so much too fast; it goes on from where it is."""
        self._set_speed(1 + ppm / 1e6)

    def stall(self) -> None:
        """Lets the clock stand still, until `set_ppm`."""
        self._set_speed(0.0)

    def _clock(self) -> Any:
        return self.page.clocks[self.page.clock & 1]

    def _device_ns(self) -> float:
        clock = self._clock()
        return float(clock.device_ns + (time.monotonic_ns() - clock.anchor_ns) * clock.speed)

    def _set_speed(self, speed: float) -> None:
        now, clock = time.monotonic_ns(), self._clock()
        device_ns = clock.device_ns + (now - clock.anchor_ns) * clock.speed
        self.page.clocks[~self.page.clock & 1] = {"anchor_ns": now, "device_ns": device_ns, "speed": speed}
        self.page.clock += 1

    # ---- Faults ----

    def refuse(self, error: int = errno.ENODEV) -> None:
        """From now on it cannot be opened: ENODEV or ENOENT as if absent, EBUSY as if taken."""
        self.page.open_error = error

    def admit(self) -> None:
        """It can be opened again."""
        self.page.open_error = 0

    def unplug(self) -> None:
        """Pulls it out: who has it open gets ENODEV from now on, also when it has come back; nobody can open it."""
        self.refuse()
        self.page.unplugged += 1

    def plug_in(self) -> None:
        """It is back."""
        self.admit()

    def freeze(self) -> None:
        """Every call of every client hangs, until `thaw`."""
        self.page.frozen = 1

    def thaw(self) -> None:
        """Calls go on."""
        self.page.frozen = 0

    # ---- Its mixer ----

    def fader(self, direction: Direction) -> tuple[list[int], list[bool]]:
        """Volume in steps of half a dB, 120 the highest at 0 dB, and whether it is on; of both channels."""
        fader = self.page.faders[DIRECTIONS.index(direction)]
        return list(fader.volume), [bool(on) for on in fader.on]

    def turn(self, direction: Direction, volume: int | None = None, on: bool | None = None) -> None:
        """Sets both channels, as another process would: whoever has the mixer open gets an event."""
        fader = self.page.faders[DIRECTIONS.index(direction)]
        if volume is not None:
            fader.volume = [volume] * 2
        if on is not None:
            fader.on = [on] * 2
        os.pwrite(self._handle, bytes(self._ffi.buffer(self._ffi.addressof(fader))), self._place(fader))

    def _place(self, field: Any) -> int:
        start, at = (int(self._ffi.cast("uintptr_t", pointer)) for pointer in (self.page, self._ffi.addressof(field)))
        return at - start

    def close(self) -> None:
        """Lets go of whoever still hangs, and of the file."""
        self.thaw()
        os.close(self._handle)
