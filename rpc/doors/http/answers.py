"""What goes back over HTTP: results, and errors in the one shape that all doors share."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from tonnetz.daemon.problems import ERROR_KINDS, Refusal

from ...method_table import Method
from ...route import Blob

JSON = "application/json"
# What HTTP itself turns away, by the nearest name of the error table.
NAMES: Mapping[int, str] = {404: "not_found", 405: "method_not_found"}


class Turned(Refusal):
    """A request that is turned away for how it came, under a status of HTTP's own."""

    def __init__(self, status: HTTPStatus, name: str, message: str, **headers: str) -> None:
        super().__init__(name, message)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def json_response(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type=JSON)


def answer(method: Method, result: Any) -> web.Response:
    """The result of a method: JSON, a text as it is, the bytes of a blob; nothing is 204."""
    assert method.http is not None
    if result is None:
        return web.Response(status=HTTPStatus.NO_CONTENT)
    if isinstance(result, Blob):
        disposition = {"Content-Disposition": f'attachment; filename="{result.name}"'}
        return web.Response(body=result.data, content_type=result.media_type, headers=disposition)
    if isinstance(result, str):
        return web.Response(text=result)
    response = json_response(result)
    if method.http.tagged:
        response.headers["ETag"] = etag(result.revision)
    return response


def etag(revision: int) -> str:
    """A graph's revision as HTTP writes it."""
    return f'"{revision}"'


def told(refusal: Refusal) -> dict[str, Any]:
    """The error as it is told over HTTP and its WebSockets."""
    return {"code": refusal.code, "name": refusal.name, "message": refusal.message, "data": refusal.data}


def error_response(refusal: Refusal) -> web.Response:
    """`{"error": {code, name, message, data}}`, under the status of the error table or the refusal's own."""
    status: int = ERROR_KINDS[refusal.name].status
    response = json_response({"error": told(refusal)}, refusal.status if isinstance(refusal, Turned) else status)
    if isinstance(refusal, Turned):
        response.headers.update(refusal.headers)
    return response


def from_aiohttp(error: web.HTTPException, request: web.Request) -> web.Response:
    """aiohttp's own errors (no such path, not that verb, too large) in our shape, with the headers that belong to
    them."""
    place = f"{request.method} {request.path[:200]}"
    if isinstance(error, web.HTTPMethodNotAllowed):
        message = f"{place}: this path takes {', '.join(sorted(error.allowed_methods))}."
    elif isinstance(error, web.HTTPRequestEntityTooLarge):
        message = f"{place}: {(error.text or '').rstrip('.')}."
    elif error.status == HTTPStatus.NOT_FOUND:
        message = f"There is nothing at {request.path[:200]}; /openapi.json lists what there is."
    else:
        message = f"{place}: {error.reason}."
    name = NAMES.get(error.status, "invalid_request")
    headers = {name: value for name, value in error.headers.items() if name == "Allow"}
    return error_response(Turned(HTTPStatus(error.status), name, message, **headers))
