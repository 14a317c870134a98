"""Writes into the log what an administrator looks for later: which node got into trouble when, and out of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from ..events import Event, Hub

log = logging.getLogger(__name__)

TROUBLE = ("retrying", "failed")


@contextlib.contextmanager
def log_events(hub: Hub) -> Iterator[None]:
    """Logs while it is entered, on the loop."""
    subscription = hub.subscribe(["node_state_changed"])

    async def follow() -> None:
        said: dict[str, tuple[str, str]] = {}
        async for event in subscription:
            _log(event, said)

    task = asyncio.get_running_loop().create_task(follow())
    try:
        yield
    finally:
        subscription.close()
        task.cancel()


def _log(event: Event, said: dict[str, tuple[str, str]]) -> None:
    """Once per trouble, however often it is told, and once when it is over."""
    node, state, message = (event.params[name] for name in ("node_id", "state", "state_message"))
    fields = {"fields": {"node": node, "state": state}}
    if state in TROUBLE:
        if said.get(node) != (state, message):
            said[node] = (state, message)
            log.warning("%s is %s: %s", node, state, message, extra=fields)
    elif state == "running" and said.pop(node, None):
        log.info("%s is running again", node, extra=fields)
