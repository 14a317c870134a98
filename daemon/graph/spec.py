"""What a node type is, as data: its ports, its parameters with units, ranges and defaults, and the words that explain
them.

Filled from the C records (`csrc/node_type.h`) and from the files in `daemon/node_types`; read by validation, schemas,
forms, the CLI, the documentation and the contract tests.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Signal = Literal["audio", "control", "midi"]
Direction = Literal["input", "output"]
# csrc/node_type.h explains the rules (enum tz_channel_rule).
ChannelRule = Literal["fixed", "parameter", "follow", "connected", "widest"]
ParameterKind = Literal["float", "int", "bool", "choice", "text", "list", "matrix"]


class ParameterSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One configuration key. `unit` is "Hz", "dB", "dBFS", "ms", "s", "%" or empty."""

    name: str
    kind: ParameterKind
    help: str
    unit: str = ""
    default: Any = None  # of a list: its records; of a matrix: the value of a cell (None = off)
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    log_scale: bool = False
    choices: tuple[str, ...] = ()
    structure: bool = False  # a change makes a new node object, which takes over with a cross-fade
    secret: bool = False  # written, never read back
    momentary: bool = False  # giving it is an act (a jump to a place), also with the value it has
    optional: bool = False  # null is a value of its own ("none"), not a request for the default
    fields: tuple[ParameterSpec, ...] = ()  # of a list's records
    count_minimum: int = 0
    count_maximum: int = 0
    rows: str = ""  # of a matrix: the int parameters that count its rows and columns
    columns: str = ""
    core: bool = True  # the C node takes it; else the endpoint in Python does


class PortSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One port, or with `repeat` one port for every record of that list parameter (`in_#` stands for `in_1`, `in_2`
    …)."""

    name: str
    direction: Direction
    help: str
    signal: Signal = "audio"
    rule: ChannelRule = "follow"
    channels: int = 0
    channels_parameter: str = ""
    repeat: str = ""
    optional: bool = False
    deciding: bool = False  # whether something is connected decides what the node is: with nothing it has no channels


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A node type."""

    type: str
    category: Literal["source", "processor", "sink"]
    help: str
    parameters: tuple[ParameterSpec, ...]
    ports: tuple[PortSpec, ...]
    core_type: str  # the C type that runs it: its own name, or one with a ring for an endpoint
    clock: bool = False  # what stands behind it may be the engine's clock

    def parameter(self, name: str) -> ParameterSpec | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


Catalogue = dict[str, NodeSpec]
