"""`rpc.discover`: the table describes itself."""

from __future__ import annotations

from typing import Any

from ..method_table import Call, method
from ..route import Route


@method("rpc.discover", role="viewer", http=Route("GET /openrpc.json"))
async def discover(call: Call) -> dict[str, Any]:
    """Describe every method, its parameters, result and errors, as an OpenRPC 1.3 document."""
    from ..openrpc import openrpc_document  # not needed to declare the method

    return openrpc_document()
