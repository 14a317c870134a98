"""Whatever is sent, the daemon answers or hangs up, changes nothing that it did not say, and goes on."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import hypothesis
import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import strategies as st

from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.settings import http_address
from tonnetz.rpc.doors.http.guard import Guard
from tonnetz.rpc.doors.http.params import _from_query, _plain
from tonnetz.rpc.doors.json_rpc import Limits, deeper_than, parse
from tonnetz.rpc.method_table import load_methods

from .conftest import Web

METHODS = {method.name: method for method in load_methods().values() if method.http}
words = st.text(max_size=40)


def outcome(act: Callable[[], Any]) -> Any:
    """What it gives, or the Refusal that it raises. Anything else that is raised fails the test."""
    try:
        return act()
    except Refusal as refusal:
        return refusal


@hypothesis.given(st.binary(max_size=400))
def test_parsing_json(data: bytes) -> None:
    """A value that JSON has words for, within the limits, or a refusal."""
    document = outcome(lambda: parse(data, Limits(message_bytes=300, depth=6)))
    if isinstance(document, Refusal):
        assert document.name in ("parse_error", "invalid_request")
    else:
        assert len(data) <= 300 and not deeper_than(document, 6)
        assert msgspec.json.decode(msgspec.json.encode(document)) == document


@hypothesis.given(st.sampled_from(sorted(METHODS)), st.dictionaries(words, words, max_size=4), st.data())
def test_queries(name: str, query: dict[str, str], data: st.DataObject) -> None:
    """Every query of every route becomes params that the method takes or refuses by name; nothing else is raised."""
    method = METHODS[name]
    route = method.http
    assert route is not None
    for parameter in data.draw(st.lists(st.sampled_from([p.name for p in method.parameters] or ["x"]), max_size=3)):
        query[parameter] = data.draw(words)
    path = "/?" + "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in query.items())
    request = make_mocked_request("GET", path)
    refused = outcome(lambda: method.bind(dict(_from_query(request, method, route))))
    if isinstance(refused, Refusal):
        assert refused.name == "invalid_params" and refused.problems


@hypothesis.given(words)
def test_single_values(text: str) -> None:
    assert _plain(text, str) == text and _plain(text, str | None) == text
    for kind in (int, float, bool, dict[str, Any]):
        value = _plain(text, kind)
        assert value is not None
        if isinstance(value, float):
            assert value == value and abs(value) != float("inf")


header = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
OURS = re.compile(r"(^|\.)localhost$|^studio\.example$|^[0-9.]+$|^\[?[0-9a-f:.%]+\]?$")


@hypothesis.given(header, header)
@hypothesis.example("[", "http://[")
@hypothesis.example("a:b:c", "://")
@hypothesis.example("[::1", "http://[::1")
def test_hosts_and_origins(host: str, origin: str) -> None:
    """Turned away or let in, and let in only under a name that is ours."""
    request = make_mocked_request("GET", "/", headers={"Host": host, "Origin": origin})
    refused = outcome(lambda: Guard(["studio.example"]).check(request))
    if isinstance(refused, Refusal):
        assert refused.name in ("invalid_request", "forbidden")
    else:
        assert OURS.search(host.lower().rpartition(":")[0] or host.lower()), host


@hypothesis.given(st.text(max_size=40))
def test_listening_addresses(text: str) -> None:
    found = outcome(lambda: http_address(text))
    if isinstance(found, Refusal):
        assert found.name == "invalid_config"
    else:
        host, port = found
        assert host and 0 <= port <= 65535


hardly = st.tuples(st.sampled_from([b"GET", b"POST", b"PUT", b"X"]), st.binary(max_size=80)).map(
    lambda sent: b"%b /api/graph/nodes HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % sent
)


@hypothesis.given(st.binary(max_size=300) | hardly)
@hypothesis.settings(max_examples=40, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_what_is_hardly_http(web: Web, sent: bytes) -> None:
    """Bytes straight into the port. It answers or hangs up, and others notice nothing."""
    place = urlsplit(web.base)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").read()
    assert answer == b"" or answer.startswith(b"HTTP/1.")


@pytest.fixture(autouse=True, scope="module")
def still_well(web: Web) -> Any:
    """After all of it the graph is what it was."""
    before = web.curl("GET", "/api/graph").json
    yield
    assert web.curl("GET", "/api/graph").json == before
