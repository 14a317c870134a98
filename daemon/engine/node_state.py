"""The states of node objects as data: read from a copy that does not sound, written into an object that has yet to."""

from __future__ import annotations

from typing import NamedTuple

from tonnetz._core import ffi, lib

from ..graph.node_state import CELL_BYTES, CELLS, NodeState, StateField
from .core import CoreNode, text

MOST_FIELDS = 16  # more than any type has (TZ_MOST_FIELDS)


class Unfit(Exception):
    """A state does not fit a node object. `field` names what of it, or nothing."""

    def __init__(self, node_id: str, field: str, message: str) -> None:
        super().__init__(f"{node_id}: {message}")
        self.node_id = node_id
        self.field = field
        self.message = message


class Field(NamedTuple):
    """What a node object has room for. Of a line `columns` hold sound, of `capacity`."""

    number: int
    name: str
    cell: int
    rows: int
    columns: int
    capacity: int
    is_line: bool


def fields_of(core: CoreNode) -> list[Field]:
    told = ffi.new("struct tz_state_field[]", MOST_FIELDS)
    count = lib.tz_node_state(core.handle, told, MOST_FIELDS)
    return [
        Field(number, text(one.name), one.cell, one.rows, one.columns, one.capacity, bool(one.is_line))
        for number, one in enumerate(told[0:count])
    ]


def size_of(core: CoreNode) -> int:
    """The bytes of its state at most; 0: sound leaves nothing in it. May be asked of one that sounds."""
    return int(lib.tz_node_state_size(core.handle))


def state_of(core: CoreNode, node_type: str) -> NodeState:
    """The state of a node object that does not sound."""
    found = {}
    for field in fields_of(core):
        cell = CELLS[field.cell]
        cells = ffi.new("char[]", field.rows * field.columns * CELL_BYTES[cell] or 1)
        lib.tz_node_state_read(core.handle, field.number, cells)
        content = bytes(ffi.buffer(cells, field.rows * field.columns * CELL_BYTES[cell]))
        found[field.name] = StateField(cell, field.rows, field.columns, content)
    return NodeState(node_type, found)


def restore(node_id: str, core: CoreNode, state: NodeState, seam_frames: int) -> None:
    """Fills the state of a new node object. Over `seam_frames` fades out what was heard last, since something else will
    be heard from now on. Raises Unfit where the state does not fit; then the object is of no more use.
    """
    fields = {field.name: field for field in fields_of(core)}
    if fields.keys() != state.fields.keys():
        has, given = (", ".join(names) or "nothing" for names in (fields, state.fields))
        raise Unfit(node_id, "", f"The node's state consists of {has}; what is given, of {given}.")
    for name, given_field in state.fields.items():
        field = fields[name]
        _check(node_id, field, given_field)
        cells = ffi.from_buffer("char[]", given_field.data)
        shape = (given_field.rows, given_field.columns)
        if lib.tz_node_state_write(core.handle, field.number, cells, *shape) != lib.TZ_OK:
            raise Unfit(node_id, name, f"{name} holds what is no finite number.")
    lib.tz_node_state_written(core.handle, seam_frames)


def _check(node_id: str, field: Field, given: StateField) -> None:
    """Raises Unfit where the shape is another, or a line too long."""
    cell = CELLS[field.cell]
    if given.cell != cell:
        raise Unfit(node_id, field.name, f"{field.name} has cells of {cell}, not of {given.cell}.")
    too_long = given.columns > field.capacity
    if given.rows != field.rows or too_long or (not field.is_line and given.columns != field.capacity):
        most = "at most " if field.is_line else ""
        wanted = f"{field.rows} × {most}{field.capacity}"
        message = (
            f"{field.name} is {wanted} in this node, not {given.rows} × {given.columns}: "
            "the state is of a node with other channels or another structure."
        )
        raise Unfit(node_id, field.name, message)
