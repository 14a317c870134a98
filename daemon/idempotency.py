"""Answers kept for those who ask again: whoever is not sure that a request arrived repeats it with the same key, and it
is done once.

An answer is kept while its request is under way, and for ten minutes after: longer than clients go on trying, and short
enough that a key may be used anew another day. A refusal is not kept: nothing was done, and it may be tried again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from .caller import Caller
from .problems import Problem, refuse
from .receipt import Receipt

KEPT_S = 600.0
# A thousand answers are some 0.5 MB; at a hundred keyed requests a second, far more than people and their tools make,
# that is still ten seconds: a client that lost its connection is back by then.
KEPT = 1000

Key = tuple[str, str]  # a caller's name, and what the caller made up


@dataclass(eq=False)
class _Answer:
    asked: Any
    task: asyncio.Task[Receipt]
    ended: float | None = None  # by the monotonic clock


class Answers:
    """Receipts by caller and key, the oldest first."""

    def __init__(self) -> None:
        self._answers: dict[Key, _Answer] = {}

    async def once(
        self, caller: Caller, key: str, asked: Any, carry_out: Callable[[], Coroutine[Any, Any, Receipt]]
    ) -> Receipt:
        """The answer to what was asked with this key: of the first time, if there was one, else of `carry_out`.

        A Refusal (conflict) where another thing was asked with it. Whoever hangs up does not end what is under way.
        """
        name = (caller.name, key)
        self._forget()
        known = self._answers.get(name)
        if known is None:
            self._forget(most=KEPT - 1)
            known = self._answers[name] = _Answer(asked, asyncio.create_task(carry_out()))
            known.task.add_done_callback(lambda _: self._note_end(name))
        elif known.asked != asked:
            message = f"The key '{key}' was used for another transaction. Make up a new one for each."
            raise refuse("conflict", [Problem("duplicate", message, "idempotency_key")])
        return await asyncio.shield(known.task)

    def _note_end(self, name: Key) -> None:
        answer = self._answers[name]
        if answer.task.cancelled() or answer.task.exception() is not None:
            del self._answers[name]
        else:
            answer.ended = time.monotonic()

    def _forget(self, most: int = KEPT) -> None:
        """The old ones and those beyond so many; what is under way is never forgotten."""
        past = time.monotonic() - KEPT_S
        ended = [(name, answer.ended) for name, answer in self._answers.items() if answer.ended is not None]
        for number, (name, moment) in enumerate(ended):
            if moment < past or number < len(ended) - most:
                del self._answers[name]
