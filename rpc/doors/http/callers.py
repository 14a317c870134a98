"""Who asks, over HTTP: by token, by ticket, or because only this machine can ask at all."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.tokens import TokenFile

from .answers import Turned
from .params import TICKET

ORIGIN = "http"
CALLER = web.RequestKey("caller", Caller)  # under which a request keeps it
ANYBODY = Caller("anybody", "viewer", ORIGIN)  # for what needs no token
TICKET_S = 30.0  # from asking for one to the connection that it is for
TICKETS = 1000  # at once; more are a mistake, or an attack
BASIC, BEARER = "basic ", "bearer "


def caller_of(request: web.Request) -> Caller:
    """Whom the request was found to come from."""
    return request[CALLER]


class _Ticket(NamedTuple):
    caller: Caller
    ends: float  # time.monotonic()


class Callers:
    """Finds out who asks. Without `required`, whoever brings no token is an operator: only this machine gets here."""

    def __init__(self, tokens: TokenFile, required: bool) -> None:
        self._tokens = tokens
        self._required = required
        self._tickets: dict[str, _Ticket] = {}

    def find(self, request: web.Request) -> Caller:
        """Raises Turned (401) where a token is missing or wrong."""
        secret = _secret(request)
        if secret is not None:
            return self._holder(secret)
        if TICKET in request.query:
            return self._redeemed(request.query[TICKET])
        if self._required:
            raise _who_are_you("This needs a token: Authorization: Bearer TOKEN. `tonnetz token add` makes one.")
        return Caller("local", "operator", ORIGIN)

    def ticket(self, caller: Caller) -> str:
        """Good for one connection within TICKET_S: browsers' WebSockets send no headers, and addresses end up in logs,
        where a token should not."""
        now = time.monotonic()
        self._tickets = {word: ticket for word, ticket in self._tickets.items() if ticket.ends > now}
        if len(self._tickets) >= TICKETS:
            raise Refusal("unavailable", f"{TICKETS} tickets wait to be used; try again in {TICKET_S:g} s.")
        word = secrets.token_urlsafe(24)
        self._tickets[word] = _Ticket(caller, now + TICKET_S)
        return word

    def still_there(self, caller: Caller) -> bool:
        """Whether a token found earlier has not been revoked, nor a damaged file made all of them void."""
        kind, _, id = caller.name.partition(":")
        if kind != "token":
            return True
        try:
            return id.rpartition("/")[2] in self._tokens.tokens()
        except Refusal:
            return False

    def _holder(self, secret: str) -> Caller:
        token = self._tokens.holder(secret)
        if token is None:
            raise _who_are_you("This token is not known, or was revoked.")
        return Caller(f"token:{token.name}/{token.id}", token.role, ORIGIN)

    def _redeemed(self, word: str) -> Caller:
        ticket = self._tickets.pop(word, None)
        if ticket is None or ticket.ends < time.monotonic() or not self.still_there(ticket.caller):
            raise _who_are_you("This ticket is not known, was used, or is too old. POST /api/tickets gives another.")
        return ticket.caller


def _secret(request: web.Request) -> str | None:
    """The token sent along. Basic authentication has it as the password, since players can send that much."""
    given = request.headers.get("Authorization", "")
    if given.lower().startswith(BEARER):
        return given[len(BEARER) :].strip()
    if given.lower().startswith(BASIC):
        try:
            return base64.b64decode(given[len(BASIC) :], validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            pass
    if given:
        raise _who_are_you("Authorization is to be: Bearer TOKEN.")
    return None


def _who_are_you(message: str) -> Turned:
    return Turned(HTTPStatus.UNAUTHORIZED, "forbidden", message, WWW_Authenticate="Bearer")
