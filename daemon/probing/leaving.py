"""How a probe leaves its node: now or, while the engine's queue is full, in a moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..engine.core import CoreError
from ..engine.core_probes import Probe

if TYPE_CHECKING:
    from ..session import Session

RETRY_S = 0.1  # some twenty blocks: by then the engine has taken what was in its queue


def take_away(session: Session, probe: Probe) -> None:
    """It stays at work until it is gone."""
    try:
        session.stage.take_down(probe)
    except CoreError:  # the queue is full: in a moment it is not
        asyncio.get_running_loop().call_later(RETRY_S, take_away, session, probe)
