"""Would a node of a type work with a configuration? Checked as an edit is, then tried for real, in a bounded time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from .credentials import with_credentials
from .endpoints.trial import Trial
from .graph.config import complete
from .graph.spec import NodeSpec
from .node_catalogue import OutsideType, checked, trial_of
from .problems import Problem, Refusal

PATIENCE_S = 12.0  # above the worker's own patience with a sound card, of which one may have to be waited for first


async def try_node(spec: NodeSpec, outside: OutsideType | None, given: Any, trial: Trial) -> dict[str, Any]:
    """`ok`, a `message`, the `reason` where it is not well (a name of the error table), `problems` of the
    configuration, what was `found`, and how long it took (`duration_ms`).
    """
    began = time.monotonic()
    told: dict[str, Any] = {"ok": False, "reason": None, "problems": [], "found": {}}
    config, problems = complete(spec, given)
    if not problems and outside is not None:
        problems = checked(outside, config, trial.media)
    if problems:
        told |= _wrong(problems)
    elif (attempt := trial_of(outside)) is None:
        told |= {"ok": True, "message": f"{spec.type} can be made so. It needs nothing from outside."}
    else:
        try:
            found = await asyncio.wait_for(attempt(with_credentials(spec, config), trial), PATIENCE_S)
            told |= {"ok": True, "message": "It works.", "found": found}
        except Refusal as refusal:
            told |= {"reason": refusal.name, "message": refusal.message}
        except TimeoutError:
            message = f"It did not answer within {PATIENCE_S:g} s. Look at the disk, network folder or server it is on."
            told |= {"reason": "timeout", "message": message}
    return told | {"duration_ms": round(1000 * (time.monotonic() - began), 1)}


def _wrong(problems: Sequence[Problem]) -> dict[str, Any]:
    only_forbidden = all(problem.kind == "forbidden" for problem in problems)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return {
        "reason": "forbidden" if only_forbidden else "invalid_config",
        "message": f"{problems[0].where}: {problems[0].message}{more}",
        "problems": [msgspec.to_builtins(problem) for problem in problems],
    }
