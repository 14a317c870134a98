"""What a scenario file may hold. Unknown keys are errors: a misspelt expectation must not pass for one that holds.

All frames are the engine's, counted from its start; a range `from`–`to` leaves out its end.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta

FOLDER = Path(__file__).parent

Frame = Annotated[int, Meta(ge=0)]


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The common base of what follows."""


class Engine(Strict, frozen=True, kw_only=True):
    sample_rate: int = 48000
    block_frames: int = 256


class Sound(Strict, frozen=True, kw_only=True):
    """A sound file made before the start: a float WAV. `samples`: an expression per channel, of the frame number `n`."""

    samples: list[str]
    frames: int
    sample_rate: int = 48000


class ExpectedProblem(Strict, frozen=True, kw_only=True):
    """`says`: words that the message must contain; `data`: keys that it must have, with these values."""

    kind: str
    where: str
    says: list[str] = []
    data: dict[str, Any] = {}


class Refused(Strict, frozen=True, kw_only=True):
    """The transaction changes nothing. `problems` are all that are told, in their order."""

    name: str
    problems: list[ExpectedProblem] = []


class Transaction(Strict, frozen=True, kw_only=True):
    """Edits as in graph.apply, applied before the block that begins at `at_frame`.

    Of what is expected, `warnings` are words that the warnings must contain, one entry for each warning; `events` are all
    names that are published because of it, in their order.
    """

    at_frame: Frame
    edits: list[dict[str, Any]]
    fade_ms: float | None = None
    label: str = ""
    base_revision: int | None = None
    strict: bool = False
    refused: Refused | None = None
    ids: list[str] | None = None
    state_carried: dict[str, bool] = {}
    warnings: list[str] = []
    events: list[str] | None = None


class Scenario(Strict, frozen=True, kw_only=True):
    """A graph, what happens to it, and what is to be heard.

    `frames` says how long it lasts. `undone_differs` says why doing, undoing and redoing every transaction between two
    blocks may not give the same recordings; without it they must be equal, and with it they must not (see performance.py).
    """

    title: str
    graph: dict[str, Any]
    frames: int
    engine: Engine = Engine()
    sounds: dict[str, Sound] = {}
    transactions: list[Transaction] = []
    expect: list[dict[str, Any]] = []
    undone_differs: str = ""

    def __post_init__(self) -> None:
        block = self.engine.block_frames
        moments = [transaction.at_frame for transaction in self.transactions]
        if any(moment % block for moment in (*moments, self.frames)):
            raise ValueError(f"all moments, and the end, must be multiples of the block, {block} frames")
        if moments != sorted(moments) or any(moment > self.frames for moment in moments):
            raise ValueError("transactions must be in the order of their time, and before the end")
        if not (self.expect or any(transaction.refused for transaction in self.transactions)):
            raise ValueError("a scenario must expect something")


def load(path: Path) -> Scenario:
    return parse(yaml.safe_load(path.read_text()))


def parse(data: Any) -> Scenario:
    return msgspec.convert(data, Scenario)
