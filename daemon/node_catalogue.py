"""Every node type there is: what the C records say of themselves, and the files in `daemon/node_types`.

Both are found, never listed: a new `.c` file in `csrc/nodes` or a new `.py` file in `daemon/node_types` is a new type.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

import msgspec

from . import node_types
from .endpoints.endpoint import Endpoint, MediaRoots, Surroundings
from .endpoints.trial import Trial
from .engine.core import catalogue_json
from .graph.spec import Catalogue, NodeSpec, ParameterSpec, PortSpec
from .problems import Problem, Refusal
from .service.credentials import with_credentials

Attempt = Callable[[Mapping[str, Any], Trial], Awaitable[Mapping[str, Any]]]


class OutsideType(Protocol):
    """A file of `daemon/node_types`: a node type whose sound comes from or goes to the outside.

    It may have one function more, `async def test(config, trial)`: tries whether an endpoint would work by a complete
    configuration that was checked, leaves nothing behind, and gives what it found, or raises a Refusal in the words
    that the node's state would use.
    """

    SPEC: NodeSpec

    def check(self, config: Mapping[str, Any], media: MediaRoots) -> list[Problem]:
        """What keeps an endpoint from working by a complete configuration, as far as that can be told beforehand."""

    def open_endpoint(self, node_id: str, config: Mapping[str, Any], surroundings: Surroundings) -> Endpoint: ...

    def restart_needed(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool: ...


def checked(outside: OutsideType, config: Mapping[str, Any], media: MediaRoots) -> list[Problem]:
    """What the type has against a complete configuration, or that a credential in it is missing."""
    try:
        return outside.check(with_credentials(outside.SPEC, config), media)
    except Refusal as refusal:
        return list(refusal.problems)


def trial_of(outside: OutsideType | None) -> Attempt | None:
    """A type's `test`, if it has one."""
    return getattr(outside, "test", None)


def load_catalogue() -> tuple[Catalogue, dict[str, OutsideType]]:
    """All types by name, and of those that talk to the outside the module behind each."""
    catalogue: Catalogue = {}
    for record in msgspec.json.decode(catalogue_json()):
        if not record["internal"]:
            catalogue[record["type"]] = _core_spec(record)
    outside: dict[str, OutsideType] = {}
    for module in pkgutil.iter_modules(node_types.__path__):
        found = cast("OutsideType", importlib.import_module(f"{node_types.__name__}.{module.name}"))
        outside[found.SPEC.type] = found
        catalogue[found.SPEC.type] = found.SPEC
    return catalogue, outside


def _core_spec(record: Mapping[str, Any]) -> NodeSpec:
    return NodeSpec(
        type=record["type"],
        category=record["category"],
        help=record["help"],
        parameters=tuple(_parameter(parameter) for parameter in record["parameters"]),
        ports=tuple(msgspec.convert(port, PortSpec) for port in record["ports"]),
        core_type=record["type"],
    )


def _parameter(record: Mapping[str, Any]) -> ParameterSpec:
    kind = record["kind"]
    numeric = kind in ("float", "int", "matrix")
    fields = tuple(_parameter(field) for field in record["fields"])
    return ParameterSpec(
        name=record["name"],
        kind=kind,
        help=record["help"],
        unit=record["unit"],
        default=_default(kind, record, fields),
        minimum=record["minimum"] if numeric else None,
        maximum=record["maximum"] if numeric else None,
        step=record["step"] or None,
        log_scale=record["log_scale"],
        choices=tuple(record["choices"]),
        structure=record["structure"],
        fields=fields,
        count_minimum=record["count_minimum"],
        count_maximum=record["count_maximum"],
        rows=record["rows"],
        columns=record["columns"],
    )


def _default(kind: str, record: Mapping[str, Any], fields: tuple[ParameterSpec, ...]) -> Any:
    initial = record["initial"]
    match kind:
        case "bool":
            return bool(initial)
        case "int":
            return int(initial)
        case "choice":
            return record["choices"][int(initial)]
        case "list":
            return [{field.name: field.default for field in fields} for _ in range(record["count_initial"])]
        case "matrix":
            return None
        case _:
            return float(initial)
