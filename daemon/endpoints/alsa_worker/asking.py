"""The daemon's side of the worker: questions about sound cards, each answered, refused, or given up in time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from ...problems import Problem, Refusal, refuse
from . import MOST_WATCHED
from .names import flaw_in_device

log = logging.getLogger(__name__)

Direction = Literal["playback", "capture"]

PATIENCE_S = 5.0  # for an answer: a sound server that works takes a tenth of that on a busy machine
START_PATIENCE_S = 30.0  # for Python to start
LINE_LIMIT = 4 << 20  # bytes of an answer: some hundred devices in words take 100 kB
_GONE = (errno.ENOENT, errno.ENODEV, errno.ENXIO)

OnMixer = Callable[[str, list[dict[str, Any]]], None]


class AlsaWorker:
    """What there is to be known of sound cards. On the event loop. What can not be told is refused: not_found,
    unavailable, timeout, invalid_params.

    The worker starts with the first question and ends with `close`. One question is asked at a time. A worker that does
    not answer is killed, and the next question gets another. `holders` names what of the graph uses a device, for
    whoever finds it busy; `on_mixer` hears of changed controls of every mixer that was looked at.
    """

    def __init__(
        self,
        holders: Callable[[str], Sequence[str]],
        on_mixer: OnMixer,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._holders = holders
        self._on_mixer = on_mixer
        self._patience_s = patience_s
        self._turn = asyncio.Lock()
        self._worker: _Process | None = None
        self._watched: dict[str, None] = {}  # in the order in which they were looked at
        self._asking: set[asyncio.Task[Any]] = set()
        self._leaving: set[asyncio.Task[None]] = set()  # of workers that were killed

    async def devices(self) -> Any:
        """`cards` and `devices`, as endpoints/alsa_worker/devices.py gives them."""
        return await self._ask("devices", "")

    async def abilities(self, device: str, direction: Direction) -> Any:
        """formats, rates, and minimum and maximum of rate, channels, period_frames, periods, buffer_frames."""
        _check(device)
        return await self._ask("abilities", device, device=device, direction=direction)

    async def try_out(
        self,
        device: str,
        direction: Direction,
        *,
        rate: int | None = None,
        channels: int | None = None,
        format: str | None = None,
        period_frames: int | None = None,
        periods: int | None = None,
    ) -> Any:
        """Opens the device with these wishes, and closes it: the rate, channels, format, period_frames, periods and
        buffer_frames that it gave. ALSA gives something near where it can't give what was wished: compare.

        `format` is ALSA's name, such as S16_LE or FLOAT_LE; None: whatever is usual.
        """
        _check(device)
        wishes = {
            "rate": rate,
            "channels": channels,
            "format": format,
            "period_frames": period_frames,
            "periods": periods,
        }
        return await self._ask("try_out", device, device=device, direction=direction, **wishes)

    async def controls(self, mixer: str) -> list[dict[str, Any]]:
        """The volumes and switches of a mixer, as endpoints/alsa_worker/mixers.py gives them; watched from now on."""
        _check(mixer)
        found: list[dict[str, Any]] = await self._ask("controls", mixer, mixer=mixer)
        self._watched[mixer] = None
        while len(self._watched) > MOST_WATCHED:
            del self._watched[next(iter(self._watched))]
        return found

    async def change(self, mixer: str, control: str, index: int, direction: Direction, **to: Any) -> None:
        """Sets `volume` (percent), `volume_db` or `mute` of a control that `controls` has shown to have these."""
        _check(mixer)
        await self._ask("change", mixer, mixer=mixer, control=control, index=index, direction=direction, **to)

    async def close(self) -> None:
        """Ends the worker, also one that hangs."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        if self._worker:
            await self._worker.end()
            self._worker = None
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=1.0)

    # ---- Asking ------------------------------------------------------------------------------------------------------

    async def _ask(self, what: str, device: str, /, **arguments: Any) -> Any:
        """Who asked may lose interest; the question is seen through to its end all the same, so that turns are kept."""
        task = asyncio.create_task(self._ask_in_turn(what, device, arguments))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # it may be nobody else's
        return await asyncio.shield(task)

    async def _ask_in_turn(self, what: str, device: str, arguments: Mapping[str, Any]) -> Any:
        async with self._turn:
            worker = await self._ready_worker()
            try:
                answer = await asyncio.wait_for(worker.ask(what, arguments), self._patience_s)
            except TimeoutError:
                log.warning("%s: no answer for %g s; the process that asked ALSA is replaced", device, self._patience_s)
                self._give_up(worker)
                raise Refusal("timeout", _hangs(device, self._patience_s), device=device) from None
            except _Ended as ended:
                self._give_up(worker)
                raise Refusal("unavailable", f"{ended} while it was asked about {device or 'devices'}.") from None
        if "error" in answer:
            raise self._refusal(device, **answer["error"])
        return answer["answer"]

    async def _ready_worker(self) -> _Process:
        """The worker, or a new one, which watches what the last one did, as far as that is there and answers."""
        while self._worker is None:
            self._worker = worker = await _Process.start(self._on_mixer)
            for mixer in list(self._watched):
                try:
                    answer = await asyncio.wait_for(worker.ask("controls", {"mixer": mixer}), self._patience_s)
                except (TimeoutError, _Ended):
                    del self._watched[mixer]
                    self._give_up(worker)
                    break
                if "error" in answer:
                    del self._watched[mixer]
        return self._worker

    def _give_up(self, worker: _Process) -> None:
        worker.kill()
        self._leaving.add(worker.reading)
        worker.reading.add_done_callback(self._leaving.discard)
        self._worker = None

    def _refusal(self, device: str, number: int, text: str, said: str) -> Refusal:
        more = f" ALSA says: {said}." if said and said != text else ""
        if number in _GONE:
            remedy = "devices.list shows those there are; is it plugged in?"
            message = f"There is no device '{device}' here now.{more} {remedy}"
            return Refusal("not_found", message, device=device, errno=number)
        if number == errno.EBUSY:
            nodes = self._holders(device)
            user = f"{', '.join(nodes)} of this graph" if nodes else "another program"
            remedy = "" if nodes else " `fuser -v /dev/snd/*` shows which; end it, or choose another device."
            return Refusal("unavailable", f"{device} is in use by {user}.{remedy}", device=device, errno=number)
        if number in (errno.EACCES, errno.EPERM):
            message = f"The daemon may not open {device}: put its user into the group audio."
            return Refusal("unavailable", message, device=device, errno=number)
        message = f"{device} can't be used: {text}.{more}"
        return Refusal("unavailable", message, device=device, errno=number)


def _check(device: str) -> None:
    if flaw := flaw_in_device(device):
        raise refuse("invalid_params", [Problem("invalid_value", flaw, "device")])


def _hangs(device: str, patience_s: float) -> str:
    what = device or "A device"
    return (
        f"{what} did not answer within {patience_s:g} s. Perhaps a sound server behind it hangs: look at that, "
        "or choose a device of the card itself (hw:…)."
    )


# ---- The process -----------------------------------------------------------------------------------------------------


class _Ended(Exception):
    """The worker ended by itself. Says how."""


class _Process:
    """One worker process; `ask` one at a time."""

    def __init__(self, process: asyncio.subprocess.Process, on_mixer: OnMixer) -> None:
        self._process = process
        self._on_mixer = on_mixer
        self._id = 0
        self._answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, on_mixer: OnMixer) -> _Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # nothing is imported from the daemon's working folder
            "-m",
            f"{__package__}.worker",
            str(os.getpid()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT,
        )
        worker = cls(process, on_mixer)
        try:
            await asyncio.wait_for(asyncio.shield(worker._answer), START_PATIENCE_S)
        except (TimeoutError, _Ended) as error:
            worker.kill()
            await asyncio.wait([worker.reading], timeout=1.0)
            why = str(error) or f"it was not ready within {START_PATIENCE_S:g} s"
            raise Refusal("unavailable", f"The process that talks to ALSA could not be started: {why}.") from None
        return worker

    async def ask(self, what: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The message that answers. _Ended where none will come."""
        if self.reading.done():
            raise self._ended()
        self._id += 1
        self._answer = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode({"id": self._id, "do": what, "with": arguments}) + b"\n")
        return await self._answer

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = msgspec.json.decode(line)
            if "changed" in message:
                self._on_mixer(message["changed"]["mixer"], message["changed"]["controls"])
            elif not self._answer.done():
                self._answer.set_result(message)
        await self._process.wait()
        if not self._answer.done():
            self._answer.set_exception(self._ended())

    def _ended(self) -> _Ended:
        status = self._process.returncode or 0
        why = signal.Signals(-status).name if status < 0 else f"status {status}"
        return _Ended(f"The process that talks to ALSA ended ({why})")

    def kill(self) -> None:
        """Ends it whatever it does, and does not wait: what hangs in the kernel goes when the kernel lets it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """Lets it end, and sees that it does."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 1.0)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 1.0)
        self.reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.reading
