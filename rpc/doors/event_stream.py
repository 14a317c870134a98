"""The events that a connection asked for: sent beside its answers, and only after the answer to that request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from tonnetz.daemon.events import Subscription

from .json_rpc import encoded_event

if TYPE_CHECKING:
    from tonnetz.daemon.caller import Caller
    from tonnetz.daemon.session import Session

log = logging.getLogger(__name__)


class EventStream:
    """What a door gives to `Call` as the lasting connection (rpc/method_table.py).

    `send` writes one encoded event; where it raises ConnectionError or TimeoutError the stream ends, and the side that
    reads sees the end of the connection too and tidies up. `failed` is called after any other exception.
    """

    def __init__(
        self,
        session: Session,
        caller: Caller,
        send: Callable[[bytes], Awaitable[None]],
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        self._session = session
        self._caller = caller
        self._send = send
        self._failed = failed
        self._subscription: Subscription | None = None
        self._pump: asyncio.Task[None] | None = None

    def subscribe(self, names: Sequence[str] | None, since: int | None = None) -> int | None:
        """Send events of these names from now on, and those after `since` first, in place of those sent so far. How
        many those are; None where not all are known.

        They wait for `start`.
        """
        self.unsubscribe()
        self._subscription = self._session.events.subscribe(names, since=since)
        return self._subscription.replayed

    def unsubscribe(self) -> None:
        """Send no more events."""
        if self._subscription is not None:
            self._subscription.close()
        if self._pump is not None:
            self._pump.cancel()
        self._subscription = self._pump = None

    def start(self) -> None:
        """Begin to send what was subscribed to, if anything was. To be called after each answer."""
        if self._subscription is not None and self._pump is None:
            self._pump = asyncio.create_task(self._send_all(self._subscription))

    def leave(self) -> None:
        """The client is gone."""
        self.unsubscribe()
        self._session.presence.leave(self)

    async def _send_all(self, subscription: Subscription) -> None:
        try:
            async for event in subscription:
                await self._send(encoded_event(event))
        except (ConnectionError, TimeoutError):
            pass
        except Exception:
            log.exception("events for %s failed", self._caller.name)
            self._failed()
