"""Secret parameters, wherever they stand: in nodes, edits and changes. Each is replaced by what `hide` makes of it:
`{"secret": true}` for people, a reference for the journal. The name of a credential is no secret, and stays.

Only `config.redact` knows less: it shows a complete configuration of a known type. An edit does not say of which type
its node is; what is a secret in any type is taken for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from .config import SECRET, Fields, credential_named, record_fields, type_fields
from .difference import Change, Changes, FieldChange, NodeChange
from .edits import AddNode, AnyEdit, ConfigureNode, ReplaceNode
from .memo import once_per_object
from .model import Graph, Node
from .spec import Catalogue, NodeSpec

Hide = Callable[[str], Any]


def shown(_secret: str) -> Any:
    """A secret as people see it."""
    return dict(SECRET)


@once_per_object
def secret_types(catalogue: Catalogue) -> tuple[NodeSpec, ...]:
    """The types that have secret parameters, in the records of their lists too."""
    return _with_secrets(catalogue.values())


def _with_secrets(specs: Iterable[NodeSpec]) -> tuple[NodeSpec, ...]:
    return tuple(
        spec
        for spec in specs
        if any(parameter.secret or any(field.secret for field in parameter.fields) for parameter in spec.parameters)
    )


def veiled_config(config: Mapping[str, Any], catalogue: Catalogue, hide: Hide = shown) -> dict[str, Any]:
    """A configuration, complete or not, of whichever type."""
    veiled = dict(config)
    for spec in secret_types(catalogue):
        veiled = _veiled(type_fields(spec), veiled, hide)
    return veiled


def _veiled(fields: Fields, config: Mapping[str, Any], hide: Hide) -> dict[str, Any]:
    veiled = dict(config)
    for key, value in config.items():
        parameter = fields.by_name.get(key)
        if parameter is None:
            continue
        if parameter.secret:
            veiled[key] = _hidden(value, hide)
        elif parameter.kind == "list" and any(field.secret for field in parameter.fields):
            inner = record_fields(parameter)
            if isinstance(value, Mapping):  # of places to records
                veiled[key] = {place: _in_record(inner, record, hide) for place, record in value.items()}
            elif isinstance(value, (list, tuple)):
                veiled[key] = [_in_record(inner, record, hide) for record in value]
    return veiled


def _in_record(fields: Fields, record: Any, hide: Hide) -> Any:
    return _veiled(fields, record, hide) if isinstance(record, Mapping) else record


def _hidden(value: Any, hide: Hide) -> Any:
    return hide(value) if isinstance(value, str) and value else value


def veiled_graph(graph: Graph, catalogue: Catalogue, hide: Hide = shown) -> Graph:
    if not secret_types(catalogue):
        return graph
    nodes = {name: _veiled_node(node, catalogue, hide) for name, node in graph.nodes.items()}
    return msgspec.structs.replace(graph, nodes=nodes)


def _veiled_node(node: Node, catalogue: Catalogue, hide: Hide) -> Node:
    if node.type in catalogue and catalogue[node.type] not in secret_types(catalogue):
        return node
    return msgspec.structs.replace(node, config=veiled_config(node.config, catalogue, hide))


def veiled_edits(edits: Sequence[AnyEdit], catalogue: Catalogue, hide: Hide = shown) -> tuple[AnyEdit, ...]:
    if not secret_types(catalogue):
        return tuple(edits)
    return tuple(
        msgspec.structs.replace(edit, config=veiled_config(edit.config, catalogue, hide))
        if isinstance(edit, AddNode | ReplaceNode | ConfigureNode)
        else edit
        for edit in edits
    )


def veiled_changes(changes: Sequence[Change], catalogue: Catalogue, hide: Hide = shown) -> Changes:
    if not secret_types(catalogue):
        return tuple(changes)
    return tuple(_veiled_change(change, catalogue, hide) for change in changes)


def _veiled_change(change: Change, catalogue: Catalogue, hide: Hide) -> Change:
    if isinstance(change, NodeChange):
        before, after = (end and _veiled_node(end, catalogue, hide) for end in (change.before, change.after))
        return NodeChange(change.id, before, after)
    if not isinstance(change, FieldChange) or change.path[0] != "config":
        return change
    before, after = (
        _at(veiled_config(_around(change.path[1:], value), catalogue, hide), change.path[1:])
        for value in (change.before, change.after)
    )
    return msgspec.structs.replace(change, before=before, after=after)


def revealed(config: Mapping[str, Any], spec: NodeSpec, read: Callable[[str, str], str]) -> Mapping[str, Any]:
    """A complete configuration with what `read` gives for a credential, by its name and where it stands, in that name's
    place."""
    return config if spec not in _with_secrets((spec,)) else _revealed(type_fields(spec), config, read, "")


def _revealed(
    fields: Fields, config: Mapping[str, Any], read: Callable[[str, str], str], where: str
) -> Mapping[str, Any]:
    found = dict(config)
    for key, value in config.items():
        parameter, place = fields.by_name[key], f"{where}{key}"
        if parameter.secret and (name := credential_named(value)) is not None:
            found[key] = read(name, place)
        elif parameter.kind == "list" and any(field.secret for field in parameter.fields):
            inner = record_fields(parameter)
            found[key] = [_revealed(inner, record, read, f"{place}[{at}].") for at, record in enumerate(value)]
    return found


def _around(path: Sequence[str | int], value: Any) -> dict[str, Any]:
    """A configuration in which the value stands at its path; places in lists are keys, as in edits."""
    for step in reversed(path):
        value = {step: value}
    made: dict[str, Any] = value
    return made


def _at(config: Any, path: Sequence[str | int]) -> Any:
    for step in path:
        config = config[step]
    return config
