"""REST: a route for every method that declares one, all by the same handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from tonnetz.daemon.problems import Refusal

from ...method_table import Call, Method
from ..json_rpc import JsonRpc
from .answers import JSON, answer
from .callers import caller_of
from .params import body_of, params_of

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes(session: Session, methods: Mapping[str, Method], json_rpc: JsonRpc) -> Iterator[web.RouteDef]:
    """Of paths that could be meant by two routes, `/templates` and `/{type}`, the plain one comes first."""
    declared = [method for method in methods.values() if method.http is not None]
    for method in sorted(declared, key=lambda method: method.http.path.count("{") if method.http else 0):
        assert method.http is not None
        yield web.route(method.http.verb, method.http.path, _handler(session, method, json_rpc))
    yield web.post("/api/rpc", _rpc(session, json_rpc))


def _handler(session: Session, method: Method, json_rpc: JsonRpc) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        params = await params_of(request, method, json_rpc.limits)
        result = await method.run(Call(session, caller_of(request)), params)
        response = answer(method, result)
        tag = response.headers.get("ETag")
        if request.method == "GET" and tag and tag in request.headers.get("If-None-Match", ""):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
        return response

    return handle


def _rpc(session: Session, json_rpc: JsonRpc) -> Handler:
    """JSON-RPC in one request: whatever there is no route for, and batches."""

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await body_of(request)
        if not body:
            raise Refusal("invalid_request", "The body is to be a JSON-RPC request, or a batch of them.")
        answered = await json_rpc.answer(body, Call(session, caller_of(request)))
        if answered is None:
            return web.Response(status=HTTPStatus.NO_CONTENT)
        return web.Response(body=answered, content_type=JSON)

    return handle
