"""REST: a route for every method that declares one, all by the same handler."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import web

from tonnetz.daemon.problems import Refusal

from ...method_table import Call, Method
from ..json_rpc import JsonRpc
from .answers import JSON, answer, etag
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
    assert method.http is not None
    may_know = method.http.tagged and method.http.verb == "GET"

    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(session, caller_of(request))
        arguments = method.check(call, await params_of(request, method, json_rpc.limits))
        tag = etag(session.revision)
        if may_know and _is_known(tag, request):
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
        return answer(method, await method.function(call, **arguments))

    return handle


def _is_known(tag: str, request: web.Request) -> bool:
    """Whether the client has that one already, as `If-None-Match` lists what it has; `*` is any."""
    given = request.headers.get("If-None-Match", "").strip()
    return given == "*" or tag in given


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
