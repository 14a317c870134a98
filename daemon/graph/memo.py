"""Answers that depend on a spec alone, worked out once.

Specs never change, but hashing one (nested records, lists of defaults) costs more than most answers. So they are told
apart by identity; the memory holds on to the spec, which keeps its identity from being given to another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

Subject = TypeVar("Subject")
Answer = TypeVar("Answer")

CAPACITY = 4096  # a catalogue has a few hundred specs and parameters; tests make catalogues without end


def once_per_object(function: Callable[[Subject], Answer]) -> Callable[[Subject], Answer]:
    """Remember what `function` said of each object."""
    answers: dict[int, tuple[Subject, Answer]] = {}

    @wraps(function)
    def remembered(subject: Subject) -> Answer:
        known = answers.get(id(subject))
        if known is None:
            if len(answers) >= CAPACITY:
                answers.clear()
            known = answers[id(subject)] = (subject, function(subject))
        return known[1]

    return remembered
