"""What sound has left in a node, as data: filter memories, delay lines, phases.

As JSON: `{"version": 1, "type": "delay", "fields": {"line": {"cell": "float32", "shape": [2, 4800], "data": "…"}}}`.
`data` is base64 of the cells in little-endian order, row after row; that is exact, and short, in every language. A row
is a channel, a section of a filter, or whatever the type has several of. The frames of a line come oldest first.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Literal, get_args

import msgspec

from ..problems import Problem, suggestion
from .findings import Findings
from .plain import read
from .wording import shortened, spoken

VERSION = 1
Cell = Literal["float32", "float64", "uint32", "uint64"]
CELLS: tuple[Cell, ...] = get_args(Cell)
CELL_BYTES: Mapping[Cell, int] = {"float32": 4, "float64": 8, "uint32": 4, "uint64": 8}


class StateField(msgspec.Struct, frozen=True):
    """Some cells: rows × columns of them."""

    cell: Cell
    rows: int
    columns: int
    data: bytes


class NodeState(msgspec.Struct, frozen=True):
    """The fields of a node's state by name; none where the type keeps nothing."""

    type: str
    fields: Mapping[str, StateField]


class PlainState(msgspec.Struct, frozen=True):
    type: str
    fields: dict[str, Any]
    version: int = VERSION


class PlainField(msgspec.Struct, frozen=True):
    cell: str
    shape: list[int]
    data: str


def to_plain(state: NodeState) -> dict[str, Any]:
    fields = {
        name: {
            "cell": field.cell,
            "shape": [field.rows, field.columns],
            "data": base64.b64encode(field.data).decode(),
        }
        for name, field in state.fields.items()
    }
    return {"version": VERSION, "type": state.type, "fields": fields}


def read_state(data: Any, type_name: str, where: str, problems: Findings) -> NodeState | None:
    """A state for a node of this type; None, and problems, where it is none. Whether it fits the node is not known
    here: that depends on its channels and structure.
    """
    before = len(problems)
    plain = read(data, PlainState, "A state", where, problems)
    if plain is None:
        return None
    if plain.version != VERSION:
        message = f"This is read as version {VERSION}; the state's is {spoken(plain.version)}."
        problems.append(Problem("malformed", message, f"{where}.version"))
    if plain.type != type_name:
        message = f"This is the state of a {shortened(plain.type)}; a {type_name} can't take it up."
        problems.append(Problem("unfit_state", message, f"{where}.type"))
    fields = {}
    for name, given in plain.fields.items():
        field = _read_field(given, f"{where}.fields.{shortened(name)}", problems)
        if field is not None:
            fields[name] = field
    return NodeState(plain.type, fields) if len(problems) == before else None


def _read_field(data: Any, where: str, problems: Findings) -> StateField | None:
    plain = read(data, PlainField, "A field of a state", where, problems)
    if plain is None:
        return None
    cell = next((cell for cell in CELLS if cell == plain.cell), None)
    if cell is None:
        message = f"'{shortened(plain.cell)}' is no kind of cell.{suggestion(shortened(plain.cell), CELLS)}"
        problems.append(Problem("unknown_choice", message, f"{where}.cell"))
        return None
    try:
        content = base64.b64decode(plain.data, validate=True)
    except (binascii.Error, ValueError):
        problems.append(Problem("malformed", "The data is no base64.", f"{where}.data"))
        return None
    if len(plain.shape) != 2 or min(plain.shape) < 0:
        problems.append(Problem("malformed", "A shape is two counts, [rows, columns].", f"{where}.shape"))
        return None
    rows, columns = plain.shape
    if len(content) != rows * columns * CELL_BYTES[cell]:
        message = (
            f"{rows} × {columns} cells of {cell} are {rows * columns * CELL_BYTES[cell]} bytes; "
            f"the data has {len(content)}."
        )
        problems.append(Problem("malformed", message, f"{where}.data"))
        return None
    return StateField(cell, rows, columns, content)
