"""Would a node of a type work with a configuration? Checked as an edit is, then tried for real, in a bounded time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from .endpoints.trial import Trial
from .graph.config import complete
from .graph.spec import NodeSpec
from .node_catalogue import OutsideType, checked, trial_of
from .problems import Refusal, refuse_config
from .service.credentials import with_credentials

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
        refusal = refuse_config(problems)
        told |= {"reason": refusal.name, "message": refusal.message, "problems": refusal.data["problems"]}
    elif (attempt := trial_of(outside)) is None:
        told |= {"ok": True, "message": f"{spec.type} can be made so. It needs nothing from outside."}
    else:
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = await attempt(with_credentials(spec, config), trial)
            told |= {"ok": True, "message": "It works.", "found": found}
        except Refusal as refused:
            told |= {"reason": refused.name, "message": refused.message}
        except TimeoutError:
            message = f"It did not answer within {PATIENCE_S:g} s. Look at the disk, network folder or server it is on."
            told |= {"reason": "timeout", "message": message}
    return told | {"duration_ms": round(1000 * (time.monotonic() - began), 1)}
