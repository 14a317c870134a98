"""`presence.*`: who else is here, and what they have in hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from tonnetz.daemon.graph.edits import AnyEdit, Coordinate, NodeId
from tonnetz.daemon.receipt import Receipt

from ..method_table import Call, Shell, method
from ..route import Route
from .events import connection_of

ParameterName = Annotated[str, Meta(max_length=200)]


class CursorView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place, in the units of the nodes' positions."""

    x: Coordinate
    y: Coordinate


class HeldView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter of a node, or the node as a whole."""

    node_id: NodeId
    param: ParameterName | None = None


Nick = Annotated[str, Meta(max_length=60, description="what others shall call you")]
PointingAt = Annotated[CursorView, Meta(description="where you point; nowhere unless given")]
Selection = Annotated[list[NodeId], Meta(max_length=1000, description="the nodes you have selected")]
Editing = Annotated[HeldView, Meta(description="the parameter you have in hand; none unless given")]


class PersonView(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is there. `client` tells connections apart, `author` is who changes are by."""

    client: int
    author: str
    origin: str
    nick: str
    cursor: CursorView | None
    selection: list[str]
    editing: HeldView | None


@method("presence.set", role="viewer")
async def set_(
    call: Call,
    nick: Nick = "",
    cursor: PointingAt | None = None,
    selection: Selection | None = None,
    editing: Editing | None = None,
) -> PersonView:
    """Tell everybody that you are there, and what you are about. What is not given is not so any more.

    It holds until it is set anew, or the connection ends. Others hear of it by `presence_changed`, at most 20 times a
    second. Nothing is locked: whoever changes what you have in hand is told so in the receipt's `warnings`.
    """
    from tonnetz.daemon.presence import Cursor, Held

    person = call.session.presence.put(
        connection_of(call),
        call.caller,
        nick,
        Cursor(cursor.x, cursor.y) if cursor else None,
        selection or (),
        Held(editing.node_id, editing.param) if editing else None,
    )
    return msgspec.convert(person, PersonView, from_attributes=True)


@method("presence.list", role="viewer", shell=Shell("who", example="tonnetz who"), http=Route("GET /api/presence"))
async def list_(call: Call) -> list[PersonView]:
    """List everybody who is there."""
    return msgspec.convert(call.session.presence.people(), list[PersonView], from_attributes=True)


def hinted(call: Call, receipt: Receipt, edits: Sequence[AnyEdit]) -> Receipt:
    """The receipt, with a word on everybody who has in hand what was changed."""
    hints = call.session.presence.hints(call.connection, edits)
    return msgspec.structs.replace(receipt, warnings=[*receipt.warnings, *hints]) if hints else receipt
