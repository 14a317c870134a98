"""The port, and who may come to it. Taken before anything plays, so that a start that fails is not heard: for that
nothing of aiohttp is needed, which takes 0.2 s to import.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
from collections.abc import Callable, Iterator

from tonnetz.daemon.problems import Problem, refuse
from tonnetz.daemon.settings import HttpSettings, http_address
from tonnetz.daemon.tokens import TokenFile


class PortInUse(Exception):
    """Another program listens on the port, or this one may not."""


class Port:
    """Raises Refusal (invalid_config) where the settings would let anybody in."""

    def __init__(self, settings: HttpSettings, tokens: TokenFile) -> None:
        self.settings = settings
        self.host, self.number = http_address(settings.listen)  # 0: one that is free, known once it is open
        self.tokens = tokens
        self.token_required = token_required(settings, self.host, tokens)
        self._protocol: Callable[[], asyncio.Protocol] = asyncio.Protocol
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """`127.0.0.1:8420`"""
        return f"[{self.host}]:{self.number}" if ":" in self.host else f"{self.host}:{self.number}"

    async def open(self) -> None:
        """Takes it, for ourselves alone. Raises PortInUse."""
        loop = asyncio.get_running_loop()
        with self._refused():
            self._server = await loop.create_server(self._answer, self.host, self.number, start_serving=False)
        self.number = self._server.sockets[0].getsockname()[1]

    async def serve(self, protocol: Callable[[], asyncio.Protocol]) -> None:
        """From now on whoever comes is heard. Raises PortInUse."""
        if self._server is None:
            await self.open()
        assert self._server is not None
        self._protocol = protocol
        with self._refused():
            await self._server.start_serving()

    def _answer(self) -> asyncio.Protocol:
        return self._protocol()

    async def close(self) -> None:
        """Nobody comes any more; who is here may stay."""
        if self._server is not None:
            self._server.close()

    @contextlib.contextmanager
    def _refused(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = os.strerror(error.errno) if error.errno else error
            message = f"can't listen on http://{self.address}/: {why}; set doors.http.listen to another address"
            raise PortInUse(message) from error


def token_required(settings: HttpSettings, host: str, tokens: TokenFile) -> bool:
    """Whether everybody needs a token. Raises a Refusal where there must be one, and is none."""
    local = host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)
    required = not local if settings.require_token == "auto" else settings.require_token  # noqa: S105 - a rule, no token
    problem = ""
    if not local and not required:
        problem = f"{settings.listen} can be reached from other machines, so require_token can't be false there."
    elif not local and not tokens.tokens():
        problem = (
            f"{settings.listen} can be reached from other machines, and there is no token yet. Make one "
            "(tonnetz token add NAME --role operator), or listen on 127.0.0.1."
        )
    if problem:
        raise refuse("invalid_config", [Problem("forbidden", problem, "doors.http.listen")])
    return required


def is_address(name: str) -> bool:
    """Whether it is an IP address and no name."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
