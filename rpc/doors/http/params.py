"""A method's params from a request: out of the path, the query and the body, as its route says."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any, get_args, get_origin

import msgspec
from aiohttp import web

from tonnetz.daemon.annotations import leaves
from tonnetz.daemon.graph.wording import shortened
from tonnetz.daemon.problems import Problem, Refusal, refuse, suggestion

from ...method_table import Method
from ...route import Route
from ..json_rpc import Limits, parse
from .answers import JSON, Turned

TICKET = "ticket"  # in any query; callers.py reads it
BODY_S = 30.0  # for all of a body to arrive
TAG = re.compile(r'"?(\d{1,18})"?')  # the quotes are easily lost in a shell


async def params_of(request: web.Request, method: Method, limits: Limits) -> dict[str, Any]:
    """The params by name, not yet checked against their types. A Refusal where they are in the wrong place."""
    route = method.http
    assert route is not None
    params = dict(_from_path(request, method))
    params |= _from_query(request, method, route)
    if route.has_body:
        params |= await _from_body(request, method, route, limits)
    elif request.can_read_body:  # many servers pass it over; what stands in it would be lost without a word
        raise Refusal("invalid_request", f"{route.usage} takes no body: its parameters go into the query, ?name=value.")
    return _with_tag(request, method, params)


def _from_path(request: web.Request, method: Method) -> Iterator[tuple[str, Any]]:
    for name, text in request.match_info.items():
        parameter = method.parameter(name)
        assert parameter is not None, "the table checks that routes name parameters"
        yield name, _plain(text, parameter.type)


def _from_query(request: web.Request, method: Method, route: Route) -> Iterator[tuple[str, Any]]:
    known = [parameter.name for parameter in method.parameters if route.place(parameter.name) == "query"]
    for name in dict.fromkeys(request.query):
        if name == TICKET:
            continue
        parameter = method.parameter(name)
        if parameter is None or name not in known:
            raise _misplaced(route, name, "query", known)
        values = request.query.getall(name)
        if _is_list(parameter.type):
            yield name, values
        elif len(values) > 1:
            raise refuse("invalid_params", [Problem("duplicate", "It is given more than once.", name)])
        else:
            yield name, _plain(values[0], parameter.type)


def _is_list(kind: Any) -> bool:
    """Seen through annotations and `| None`."""
    return get_origin(kind) is list or (get_origin(kind) is not dict and any(map(_is_list, get_args(kind))))


def _plain(text: str, kind: Any) -> Any:
    """A value as it is written in a query: texts as they are, all else as in JSON. What is null is left out there."""
    if all(leaf in (str, type(None)) or isinstance(leaf, str) for leaf in leaves(kind)):
        return text
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text  # and the method says what it should be
    return text if value is None else _whole(value, kind)


def _whole(value: Any, kind: Any) -> Any:
    """256.0 is a whole number to JSON, and to many who write it."""
    if isinstance(value, float) and value.is_integer() and {int, float} & set(leaves(kind)) == {int}:
        return int(value)
    return value


async def _from_body(request: web.Request, method: Method, route: Route, limits: Limits) -> Mapping[str, Any]:
    body = await body_of(request)
    if route.whole and not body:  # no body is a mistake, and an empty document would take the whole graph away
        message = f"{route.usage} needs it as its body, in JSON; there is none."
        raise refuse("invalid_params", [Problem("missing_parameter", message, route.whole)])
    document = parse(body, limits) if body else {}
    if route.whole:
        return {route.whole: document}
    if not isinstance(document, dict):
        raise refuse("invalid_params", [Problem("wrong_type", "The body is an object with the params by name.")])
    known = [parameter.name for parameter in method.parameters if route.place(parameter.name) == "body"]
    for name in document:
        if name not in known:
            raise _misplaced(route, name, "body", known)
    kinds = {parameter.name: parameter.type for parameter in method.parameters}
    return {name: _whole(value, kinds[name]) for name, value in document.items()}


async def body_of(request: web.Request) -> bytes:
    """The body, which has to be JSON: a page of another site can send a form, but no JSON, without asking first."""
    if not request.can_read_body:
        return b""
    if request.content_type != JSON:
        message = f"A body has to be JSON: set Content-Type: {JSON}, not {shortened(request.content_type)}."
        raise Turned(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "invalid_request", message)
    try:
        return await asyncio.wait_for(request.read(), BODY_S)
    except TimeoutError:
        message = f"The body did not arrive within {BODY_S:g} s."
        raise Turned(HTTPStatus.REQUEST_TIMEOUT, "invalid_request", message) from None


def _with_tag(request: web.Request, method: Method, params: dict[str, Any]) -> dict[str, Any]:
    """`If-Match: "12"`, where the method knows of base revisions: only if the graph is at 12 still."""
    given = request.headers.get("If-Match", "*").strip()
    if given == "*" or method.parameter("base_revision") is None:
        return params
    tag = TAG.fullmatch(given)
    if tag is None:
        raise Refusal("invalid_request", 'If-Match takes one ETag of GET /api/graph, such as "12".')
    return {**params, "base_revision": int(tag[1]), "strict": True}


def _misplaced(route: Route, name: str, place: str, known: list[str]) -> Refusal:
    word = shortened(name)
    hint = suggestion(word, known) or (" It takes none." if not known else "")
    message = f"{route.usage} has no '{word}' in its {place}.{hint}"
    return refuse("invalid_params", [Problem("unknown_parameter", message, word)])
