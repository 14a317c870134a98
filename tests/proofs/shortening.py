"""Stories of a live machine that go wrong, told once more as short as they still go wrong in the same place."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar

from tonnetz.daemon.graph.edits import AnyEdit

from .live_machine import Machine, Step, Transaction

T = TypeVar("T")


def failure(steps: list[Step]) -> str | None:
    """How a story goes wrong. None: it does not."""
    machine = Machine()
    try:
        for step in steps:
            machine.do(step)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
        return "\n".join(traceback.format_exception(error))
    finally:
        machine.close()
    return None


def shortened(steps: list[Step], patience_s: float) -> list[Step]:
    """Leaves out steps, and edits of transactions, as long as it goes wrong where it did."""
    place, end = _place(failure(steps)), time.monotonic() + patience_s

    def fewer(parts: list[T], whole: Callable[[list[T]], list[Step]]) -> list[T]:
        """Without the parts that it does not need. `whole`: the steps that some of the parts make."""
        size = len(parts)
        while size and time.monotonic() < end:
            at = 0
            while at < len(parts) and time.monotonic() < end:
                without = parts[:at] + parts[at + size :]
                if _place(failure(whole(without))) == place:
                    parts = without
                else:
                    at += size
            size //= 2
        return parts

    steps = fewer(steps, list)
    for number, step in enumerate(steps):
        if isinstance(step, Transaction):
            whole = partial(_with_edits, steps, number, step)
            steps = whole(fewer(list(step.edits), whole))
    return fewer(steps, list)


def _with_edits(steps: list[Step], number: int, step: Transaction, edits: list[AnyEdit]) -> list[Step]:
    return [*steps[:number], replace(step, edits=tuple(edits)), *steps[number + 1 :]]


def _place(told: str | None) -> str:
    """The last line of code that a failure names: it makes two of them the same."""
    return told.rpartition("File ")[2].partition("\n")[0] if told else ""
