"""Whatever is sent, the daemon answers or hangs up, changes nothing that it did not say, and goes on."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import quote, urlsplit

import hypothesis
import msgspec
import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import strategies as st
from multidict import CIMultiDict

from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.settings import http_address
from tonnetz.rpc.doors.http.guard import Guard
from tonnetz.rpc.doors.http.params import _from_query, _plain
from tonnetz.rpc.doors.json_rpc import Limits, deeper_than, parse
from tonnetz.rpc.method_table import load_methods

from .conftest import Web

METHODS = {method.name: method for method in load_methods().values() if method.http}
words = st.text(max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@hypothesis.given(st.binary(max_size=400))
def test_parsing_json(data: bytes) -> None:
    """A value that JSON has words for, within the limits, or a refusal."""
    try:
        document = parse(data, Limits(message_bytes=300, depth=6))
    except Refusal as refusal:
        assert refusal.name in ("parse_error", "invalid_request")
    else:
        assert len(data) <= 300 and not deeper_than(document, 6)
        assert msgspec.json.decode(msgspec.json.encode(document)) == document


@hypothesis.given(st.sampled_from(sorted(METHODS)), st.dictionaries(words, words, max_size=4), st.data())
def test_queries(name: str, query: dict[str, str], data: st.DataObject) -> None:
    """Every query of every route becomes params that the method takes or refuses by name; nothing else is raised."""
    method = METHODS[name]
    assert method.http is not None
    for parameter in data.draw(st.lists(st.sampled_from([p.name for p in method.parameters] or ["x"]), max_size=3)):
        query[parameter] = data.draw(words)
    path = "/?" + "&".join(f"{quote(key, safe='')}={quote(value, safe='')}" for key, value in query.items())
    try:
        params = dict(_from_query(make_mocked_request("GET", path), method, method.http))
        method.bind(params)
    except Refusal as refusal:
        assert refusal.name == "invalid_params" and refusal.problems


@hypothesis.given(words)
def test_single_values(text: str) -> None:
    assert _plain(text, str) == text and _plain(text, str | None) == text
    for kind in (int, float, bool, dict[str, Any]):
        value = _plain(text, kind)
        assert value is not None
        if isinstance(value, float):
            assert value == value and abs(value) != float("inf")


header = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@hypothesis.given(header, header)
@hypothesis.example("[", "http://[")
@hypothesis.example("a:b:c", "://")
@hypothesis.example("[::1", "http://[::1")
def test_hosts_and_origins(host: str, origin: str) -> None:
    """Turned away or let in, and let in only under a name that is ours."""
    request = make_mocked_request("GET", "/", headers=CIMultiDict({"Host": host, "Origin": origin}))
    try:
        Guard(["studio.example"]).check(request)
    except Refusal as refusal:
        assert refusal.name in ("invalid_request", "forbidden")
    else:
        place = host.lower()
        assert (
            "localhost" in place or "studio.example" in place or any(letter in place for letter in ":.0123456789abcdef")
        )


@hypothesis.given(st.text(max_size=40))
def test_listening_addresses(text: str) -> None:
    try:
        host, port = http_address(text)
    except Refusal as refusal:
        assert refusal.name == "invalid_config"
    else:
        assert host and 0 <= port <= 65535


@hypothesis.given(
    st.binary(max_size=300) | st.tuples(st.sampled_from([b"GET", b"POST", b"PUT", b"X"]), st.binary(max_size=80))
)
@hypothesis.settings(max_examples=40, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_what_is_hardly_http(web: Web, sent: Any) -> None:
    """Bytes straight into the port. It answers or hangs up, and others notice nothing."""
    if isinstance(sent, tuple):
        sent = b"%b /api/graph/nodes HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % sent
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
