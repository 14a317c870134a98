"""Edits that name a record by its place in a list, while the list has become another since they were thought out.

`{"bands": {"1": …}}` of a stale revision may mean a band that is now the second or the third, so it does not hold by
itself, as an edit of a parameter does, where the last word counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..problems import Problem
from .difference import Change, FieldChange, NodeChange
from .edits import AnyEdit, ConfigureNode


def shifted(edits: Sequence[AnyEdit], since: Iterable[Change]) -> list[Problem]:
    """What is wrong with edits, given what changed since."""
    replaced = {change.id for change in since if isinstance(change, NodeChange)}
    lists = {
        (change.node, change.path[1])
        for change in since
        if isinstance(change, FieldChange) and change.path[0] == "config" and len(change.path) == 2
    }
    problems = []
    for index, edit in enumerate(edits):
        if not isinstance(edit, ConfigureNode):
            continue
        for key, value in edit.config.items():
            if isinstance(value, Mapping) and (edit.id in replaced or (edit.id, key) in lists):
                message = f"The list '{key}' of {edit.id} has other records by now: a place in it may mean another one."
                problems.append(Problem("stale_place", message, f"edits[{index}].config.{key}"))
    return problems
