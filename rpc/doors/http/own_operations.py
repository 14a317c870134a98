"""The operations that the HTTP door has beside the method table, as OpenAPI describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _operation(name: str, summary: str, responses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"operationId": f"http.{name}", "tags": ["http"], "summary": summary, "responses": responses, **more}


def _json(description: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "required": list(properties), "properties": properties} if properties else {}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


OWN_OPERATIONS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "/api/rpc": {
        "post": _operation(
            "rpc",
            "Call any method by JSON-RPC 2.0, or several in a batch.",
            {
                "200": _json("The answer, or the answers of a batch. Errors of methods are in there."),
                "204": {"description": "There were notifications only."},
            },
            requestBody={"required": True, "content": {"application/json": {"schema": {}}}},
        )
    },
    "/api/tickets": {
        "post": _operation(
            "ticket",
            "Ask for a ticket: `?ticket=` opens one connection where a token can't be sent.",
            {
                "200": _json(
                    "The ticket, and for how long it is good.", ticket={"type": "string"}, expires_s={"type": "number"}
                )
            },
        )
    },
    "/healthz": {
        "get": _operation(
            "healthz",
            "Tell whether the daemon is well, to whoever asks.",
            {
                "200": _json(
                    "It answers. `degraded`: nodes are in trouble, or nothing can be stored and so changed.",
                    status={"enum": ["ok", "degraded"]},
                    state={"enum": ["running", "paused", "stopped"]},
                    nodes_in_trouble={"type": "integer"},
                    storage={"enum": ["ok", "off", "refusing"]},
                )
            },
            security=[],  # whoever asks
        )
    },
    "/metrics": {
        "get": _operation(
            "metrics", "Give all figures in the text format of Prometheus.", {"200": _text("The figures.")}
        )
    },
    "/openapi.json": {
        "get": _operation("openapi", "Give this document.", {"200": _json("An OpenAPI 3.1 document.")}, security=[])
    },
}
