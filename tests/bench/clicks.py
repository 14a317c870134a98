"""What edits are heard by beside a sine: the figures of tests/proofs/test_click_residual.py, the worst of each kind."""

from __future__ import annotations

import re
from typing import Any

from ..proofs.click import GOAL_DB, residual
from ..proofs.click_cases import all_cases, bound


def clicks(every: int) -> list[dict[str, Any]]:
    """A row per kind of edit, a parameter of a node type being one. `every`: so many cases there are to each that is tried.

    `residual_db` is the worst of the kind, `over_db` how far its sound itself goes beyond full scale; `limit_db` is what is promised of it.
    """
    worst: dict[str, dict[str, Any]] = {}
    for case in all_cases()[::every]:
        found, promised = residual(case), bound(case.name)
        row = {
            "name": _kind(case.name),
            "worst": case.name,
            "residual_db": found.db,
            "over_db": found.over_db,
            "goal": GOAL_DB,
            "limit_db": promised.db + found.over_db,
            "reason": promised.reason,
            "met": found.db <= GOAL_DB + found.over_db,
        }
        before = worst.get(row["name"])
        if before is None or before["residual_db"] - before["over_db"] < row["residual_db"] - row["over_db"]:
            worst[row["name"]] = row
    return list(worst.values())


def _kind(name: str) -> str:
    """`equalizer: bands[0].q: 1 → 40` is of the kind `equalizer: bands.q`, and `bypass: delay` of the kind `bypass`."""
    kind, _, rest = name.partition(": ")
    parameter, _, change = rest.rpartition(": ")
    return re.sub(r"\[\d+\]", "", f"{kind}: {parameter}") if change and parameter else kind
