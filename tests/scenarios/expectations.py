"""What a scenario may expect of its recordings, and whether it came true.

An entry of `expect` is a mapping of one name below to its settings: `- silence: {recording: out, from: 0, to: 4800}`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from .expressions import curves, evaluate
from .performance import Outcome, Performance
from .scenario import Frame, Strict

Samples = NDArray[np.float32]


class Disappointed(AssertionError):
    """An expectation did not come true."""


def check(performance: Performance) -> None:
    """Every expectation of the performance's scenario; all disappointments are told together."""
    scenario = performance.scenario
    told = []
    for number, outcome in enumerate(performance.outcomes):
        told += [f"transactions[{number}]: {text}" for text in transaction_faults(outcome)]
    for number, entry in enumerate(scenario.expect):
        fault = expectation(entry).fault(performance)
        told += [f"expect[{number}]: {entry}: {fault}"] if fault else []
    if told:
        raise Disappointed("\n".join([scenario.title, *told]))


def expectation(entry: Mapping[str, Any]) -> Expectation:
    assert len(entry) == 1, f"an expectation is a mapping of one name to its settings, not {entry}"
    ((name, settings),) = entry.items()
    assert name in KINDS, f"there is no expectation '{name}'; known: {', '.join(KINDS)}"
    return msgspec.convert(settings, KINDS[name])


# ---- Of transactions -----------------------------------------------------------------------------------------------


def transaction_faults(outcome: Outcome) -> list[str]:
    transaction, refusal, receipt = outcome.transaction, outcome.refusal, outcome.receipt
    if transaction.refused is not None:
        if refusal is None:
            return ["it was accepted, but should have been refused"]
        return refusal_faults(outcome)
    if receipt is None:
        return [f"it was refused: {refusal}"]
    faults = []
    if receipt.frame != transaction.at_frame:
        faults.append(f"it took effect at frame {receipt.frame} instead of {transaction.at_frame}")
    if transaction.ids is not None and receipt.ids != transaction.ids:
        faults.append(f"ids {receipt.ids} instead of {transaction.ids}")
    if receipt.state_carried != transaction.state_carried:
        faults.append(f"state_carried {receipt.state_carried} instead of {transaction.state_carried}")
    if not matching(transaction.warnings, receipt.warnings):
        faults.append(f"warnings {receipt.warnings} instead of {transaction.warnings}")
    if transaction.events is not None and outcome.events != transaction.events:
        faults.append(f"events {outcome.events} instead of {transaction.events}")
    return faults


def refusal_faults(outcome: Outcome) -> list[str]:
    refusal, expected = outcome.refusal, outcome.transaction.refused
    assert refusal is not None and expected is not None
    faults = []
    if refusal.name != expected.name:
        faults.append(f"refused as {refusal.name} instead of {expected.name}: {refusal.message}")
    if outcome.events:
        faults.append(f"it was refused, and yet events were told: {outcome.events}")
    found = [(problem.kind, problem.where) for problem in refusal.problems]
    wanted = [(problem.kind, problem.where) for problem in expected.problems]
    if found != wanted:
        return [*faults, f"problems {found} instead of {wanted}"]
    for problem, want in zip(refusal.problems, expected.problems, strict=True):
        missing = [words for words in want.says if words not in problem.message]
        faults += [f"'{problem.message}' does not say '{words}'" for words in missing]
        data = {key: problem.data.get(key) for key in want.data}
        if data != want.data:
            faults.append(f"{problem.kind} has the data {data} instead of {want.data}")
    return faults


def matching(wanted: list[str], found: list[str]) -> bool:
    return len(wanted) == len(found) and all(words in text for words, text in zip(wanted, found, strict=True))


# ---- Of recordings -------------------------------------------------------------------------------------------------


class Expectation(Strict, frozen=True, kw_only=True, rename={"begin": "from", "end": "to"}):
    """Of what the node `recording` recorded, usually in the frames `from`–`to` (all) and of one `channel` (all)."""

    name: ClassVar[str]
    recording: str
    begin: Frame | None = None
    end: Frame | None = None
    channel: int | None = None

    def fault(self, performance: Performance) -> str:
        """What is wrong; empty: nothing."""
        recording = performance.recording(self.recording)
        begin = recording.begin if self.begin is None else self.begin
        end = recording.end if self.end is None else self.end
        if not recording.begin <= begin < end <= recording.end:
            return f"{self.recording} has recorded the frames {recording.begin}–{recording.end}"
        part = recording.samples[:, begin - recording.begin : end - recording.begin]
        if self.channel is not None:
            part = part[self.channel : self.channel + 1]
        return self.look(part, np.arange(begin, end), performance)

    def look(self, part: Samples, n: NDArray[np.int64], performance: Performance) -> str:
        raise NotImplementedError


class Level(Expectation, frozen=True, kw_only=True):
    """Peak and RMS in dBFS, of every channel."""

    name = "level"
    peak_db: float | None = None
    rms_db: float | None = None
    tolerance_db: float = 0.01

    def look(self, part: Samples, n: NDArray[np.int64], performance: Performance) -> str:
        double = np.asarray(part, np.float64)
        peaks, rms = np.abs(double).max(axis=1), np.sqrt((double**2).mean(axis=1))
        faults = []
        for word, wanted, found in (("peak", self.peak_db, peaks), ("rms", self.rms_db, rms)):
            levels = 20 * np.log10(np.maximum(found, 1e-10))
            if wanted is not None and not np.allclose(levels, wanted, rtol=0, atol=self.tolerance_db):
                faults.append(f"{word} is {np.round(levels, 3).tolist()} dB")
        return ", ".join(faults)


class Frequency(Expectation, frozen=True, kw_only=True):
    """The frequency of the loudest component, of every channel: of the spectrum's peak, between its bins."""

    name = "frequency"
    hz: float
    tolerance_hz: float = 1.0

    def look(self, part: Samples, n: NDArray[np.int64], performance: Performance) -> str:
        spectrum = np.abs(np.fft.rfft(np.asarray(part, np.float64) * np.hanning(part.shape[1])))
        found = []
        for line in spectrum:
            peak = int(np.clip(line.argmax(), 1, len(line) - 2))
            low, mid, high = np.log(line[peak - 1 : peak + 2] + 1e-30)
            found.append((peak + 0.5 * (low - high) / (low - 2 * mid + high)) * performance.scenario.engine.sample_rate)
        frequencies = np.array(found) / part.shape[1]
        if np.abs(frequencies - self.hz).max() <= self.tolerance_hz:
            return ""
        return f"it is {np.round(frequencies, 2).tolist()} Hz"


class Silence(Expectation, frozen=True, kw_only=True):
    """Zero, in every sample."""

    name = "silence"

    def look(self, part: Samples, n: NDArray[np.int64], performance: Performance) -> str:
        sounding = np.flatnonzero(part.any(axis=0))
        return f"{len(sounding)} frames are not silent, the first is {n[sounding[0]]}" if len(sounding) else ""


class SamplesAre(Expectation, frozen=True, kw_only=True):
    """Every sample, within a tolerance (0: to the bit of a float32).

    `equal` is an expression, or one per channel, of the frame `n`, `sound("file.wav")[channel]` and
    `recording("node")[channel]` (at frame `n`; `recording("node", at)` at other frames), and the curves of expressions.py.
    """

    name = "samples"
    equal: str | list[str]
    tolerance: float = 0.0

    def look(self, part: Samples, n: NDArray[np.int64], performance: Performance) -> str:
        texts = [self.equal] * len(part) if isinstance(self.equal, str) else self.equal
        if len(texts) != len(part):
            return f"there are {len(part)} channels"

        def recording(node_id: str, at: NDArray[np.int64] = n) -> Samples:
            found = performance.recording(node_id)
            return picked(found.samples, at - found.begin)

        names = {"n": n, **curves(n), "sound": performance.sounds.__getitem__, "recording": recording}
        wanted = np.array([evaluate(text, names) * np.ones(len(n)) for text in texts])
        apart = np.abs(part - wanted.astype(np.float32) if self.tolerance == 0 else part - wanted)
        if (apart <= self.tolerance).all():  # a NaN is not
            return ""
        wrong = np.flatnonzero(~(apart <= self.tolerance).all(axis=0))
        first = wrong[0]
        return (
            f"{len(wrong)} frames are off by up to {apart.max():.3g}, the first is {n[first]}: "
            f"{part[:, first].tolist()} instead of {wanted[:, first].tolist()}"
        )


def picked(samples: Samples, at: NDArray[np.int64]) -> Samples:
    """The samples at these places; before the first and after the last there is silence."""
    within = (at >= 0) & (at < samples.shape[1])
    return np.where(within, samples[:, np.clip(at, 0, samples.shape[1] - 1)], np.float32(0))


class LargestStep(Expectation, frozen=True, kw_only=True):
    """From one sample to the next it never goes further than this: no click."""

    name = "largest_step"
    at_most: float

    def look(self, part: Samples, n: NDArray[np.int64], performance: Performance) -> str:
        steps = np.abs(np.diff(part, axis=1)).max(axis=0)
        if steps.max() <= self.at_most:
            return ""
        return f"it goes {steps.max():.4g} from frame {n[steps.argmax()]} to the next"


class Click(Expectation, frozen=True, kw_only=True):
    """Somewhere it does go further than `at_least`: against expectations of no click that nothing could disappoint."""

    name = "click"
    at_least: float

    def look(self, part: Samples, n: NDArray[np.int64], performance: Performance) -> str:
        most = np.abs(np.diff(part, axis=1)).max()
        return "" if most >= self.at_least else f"its largest step is {most:.4g}"


class Extent(Expectation, frozen=True, kw_only=True):
    """The recording holds exactly the frames `from`–`to`, in so many channels and so many files."""

    name = "extent"
    channels: int
    files: int = 1

    def fault(self, performance: Performance) -> str:
        found = performance.recording(self.recording)
        files = len(performance.recordings[self.recording])
        what = (found.begin, found.end, len(found.samples), files)
        if what == (self.begin, self.end, self.channels, self.files):
            return ""
        return f"it holds the frames {what[0]}–{what[1]}, in {what[2]} channels and {what[3]} files"


class Nothing(Strict, frozen=True, kw_only=True):
    """The node recorded nothing at all."""

    name: ClassVar[str] = "nothing"
    recording: str

    def fault(self, performance: Performance) -> str:
        return f"it has recorded {self.recording}" if self.recording in performance.recordings else ""


class Logged(Strict, frozen=True, kw_only=True):
    """These messages were logged for people, in this order; each entry is words that one contains."""

    name: ClassVar[str] = "logged"
    messages: list[str]

    def fault(self, performance: Performance) -> str:
        return "" if matching(self.messages, performance.logs) else f"logged was {performance.logs}"


KINDS: Mapping[str, Callable[..., Any]] = {
    kind.name: kind for kind in (Level, Frequency, Silence, SamplesAre, LargestStep, Click, Extent, Nothing, Logged)
}
