"""What is not even looked at: requests that a page of another site sends, or that come too fast; and the headers that
keep our own pages from doing harm.

Whoever is on this machine may be looking at any page of the web, and that page can make the browser send requests to
us. It can't choose the Host that the browser names, nor hide its Origin, nor read answers without our leave.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from .answers import Turned
from .port import is_address

RATE = 1000.0  # requests a second, from one address: far above what hands do, below what would fill a core
BURST = 3000.0  # at once, as by an editor that opens, or a script that begins
ADDRESSES = 10_000  # remembered at once

HEADERS: Mapping[str, str] = {
    "Server": "tonnetz",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Guard:
    """Turns away by Host, Origin and rate. `allowed_hosts`: names under which we are known, as `studio.example` or
    `studio.example:8443`."""

    def __init__(self, allowed_hosts: Collection[str], rate: float = RATE, burst: float = BURST) -> None:
        self._allowed = {host.lower() for host in allowed_hosts}
        self._rate, self._burst = rate, burst
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was so

    def check(self, request: web.Request) -> None:
        """Raises Turned."""
        self._check_rate(request.remote or "")
        self._check_host(request)
        self._check_origin(request)

    def _check_host(self, request: web.Request) -> None:
        """A name that leads here today may have led elsewhere when the page was loaded (DNS rebinding). Addresses are
        no names, and localhost is always us."""
        host = request.headers.get("Host", "").lower()
        name = _place(f"//{host}")[1] if "@" not in host and "/" not in host else ""
        if name == "localhost" or name.endswith(".localhost") or is_address(name) or self._allowed & {host, name}:
            return
        message = f"This is not known as '{host[:100]}'. If it is to be, add that name to doors.http.allowed_hosts."
        raise Turned(HTTPStatus.MISDIRECTED_REQUEST, "invalid_request", message)

    def _check_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is None:
            followed = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"  # a link that somebody clicked
            if request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not followed:
                raise _foreign("another site")
            return
        place, name = _place(origin.lower())
        if place and (place == request.headers.get("Host", "").lower() or self._allowed & {place, name}):
            return
        raise _foreign(origin[:100])

    def _check_rate(self, address: str) -> None:
        now = time.monotonic()
        left, then = self._buckets.get(address, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        if left < 1.0:
            message = f"More than {self._rate:g} requests a second come from {address}; slow down."
            raise Turned(HTTPStatus.TOO_MANY_REQUESTS, "unavailable", message, Retry_After="1")
        if len(self._buckets) >= ADDRESSES and address not in self._buckets:
            self._buckets.clear()
        self._buckets[address] = (left - 1.0, now)


def _place(url: str) -> tuple[str, str]:
    """Host with port, and host alone; empty where it is no URL."""
    try:
        parts = urlsplit(url)
        return parts.netloc, parts.hostname or ""
    except ValueError:  # brackets around what is no IPv6 address
        return "", ""


def _foreign(origin: str) -> Turned:
    message = f"Pages of {origin} may not talk to this. If they are to, add their host to doors.http.allowed_hosts."
    return Turned(HTTPStatus.FORBIDDEN, "forbidden", message)
