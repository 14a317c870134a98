"""A node's configuration: completed, checked, flattened for the core, and kept from telling secrets.

What a person gives is partial and perhaps wrong. What a `Node` holds is complete and right: plain JSON data, every
parameter of the type, numbers in range, integers as floats where a float is meant. All that is wrong is said at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..problems import Problem, suggestion
from .findings import Enough, Findings
from .memo import once_per_object
from .spec import NodeSpec, ParameterSpec
from .wording import flaw_in_text, shortened, spoken

Structure = tuple[tuple[str, Any], ...]  # names of parameters, and what a node object is built on of each

SECRET = {"secret": True}  # what is shown for a secret, and what may be given to keep it
CREDENTIAL = r"^[A-Za-z0-9_.@-]{1,255}$"  # the name of a secret that the service manager hands over
TEXT_MAXIMUM = 4096  # characters, where a text's spec names no `maximum`: a path or a URL, not a payload
CONFIG_KINDS = frozenset(
    {"unknown_parameter", "wrong_type", "out_of_range", "unknown_choice", "missing", "unfit_state"}
)


class Fields(msgspec.Struct, frozen=True):
    """The parameters of a type, or of one record of a list, ready to be looked up."""

    by_name: Mapping[str, ParameterSpec]
    defaults: Mapping[str, Any]
    required: tuple[str, ...]  # no default, and null is no value
    matrices: tuple[ParameterSpec, ...]


# ---- Completing --------------------------------------------------------------------------------------------------


def complete(
    spec: NodeSpec, given: Any, base: Mapping[str, Any] | None = None, where: str = "config"
) -> tuple[dict[str, Any], list[Problem]]:
    """The whole configuration that `given` asks for, and everything that is wrong with it.

    What is not given is as in `base`, a complete configuration, else as the defaults. `null` is the default, except
    where the parameter is optional. A list given replaces the list; a mapping of indices to records changes those
    records alone: `{"bands": {"1": {"gain_db": 3}}}`. A wrong value leaves what was there; `where` is the path that
    problems start with.
    """
    problems = Findings()
    try:
        return _record(type_fields(spec), given, base, where, spec.type, problems), problems
    except Enough:
        return {**type_fields(spec).defaults, **(base or {})}, problems


@once_per_object
def type_fields(spec: NodeSpec) -> Fields:
    return _fields(spec.parameters)


@once_per_object
def record_fields(parameter: ParameterSpec) -> Fields:
    """The fields of a list parameter's records."""
    return _fields(parameter.fields)


def _fields(parameters: Sequence[ParameterSpec]) -> Fields:
    return Fields(
        by_name={parameter.name: parameter for parameter in parameters},
        defaults={parameter.name: _default(parameter) for parameter in parameters},
        required=tuple(
            parameter.name
            for parameter in parameters
            if parameter.default is None and not parameter.optional and parameter.kind not in ("list", "matrix")
        ),
        matrices=tuple(parameter for parameter in parameters if parameter.kind == "matrix"),
    )


def _default(parameter: ParameterSpec) -> Any:
    if parameter.kind == "matrix":
        return None  # the type's own matrix; the spec's default is that of a cell
    if parameter.kind == "list":
        fields = record_fields(parameter)
        records = [{}] * parameter.count_minimum if parameter.default is None else parameter.default
        return [_record(fields, record, None, "", parameter.name, []) for record in records]
    if parameter.kind == "float" and parameter.default is not None:
        return float(parameter.default)
    return parameter.default


def _record(
    fields: Fields, given: Any, base: Mapping[str, Any] | None, where: str, owner: str, problems: list[Problem]
) -> dict[str, Any]:
    config = dict(fields.defaults)
    if base is not None:
        config.update(base)
    if not isinstance(given, Mapping):
        message = f"The configuration of {owner} is a mapping of names to values, not {spoken(given)}."
        problems.append(Problem("wrong_type", message, where))
        return config
    wrong = set()
    for key, value in given.items():
        parameter = fields.by_name.get(key)
        if parameter is None:
            word = shortened(key)
            message = f"There is no parameter '{word}' in {owner}.{suggestion(word, fields.by_name)}"
            problems.append(Problem("unknown_parameter", message, f"{where}.{word}"))
        elif value is None:
            config[key] = None if parameter.optional else fields.defaults[key]
        elif parameter.secret and value == SECRET:
            pass
        else:
            before = len(problems)
            accepted = _value(parameter, value, config[key], f"{where}.{key}", problems)
            if len(problems) == before:
                config[key] = accepted
            else:
                wrong.add(key)
    for name in fields.required:
        if config.get(name) is None and name not in wrong:
            message = f"{owner} needs '{name}': {fields.by_name[name].help}"
            problems.append(Problem("missing", message, f"{where}.{name}"))
    for matrix in fields.matrices:
        if config[matrix.name] is not None and not wrong.intersection((matrix.name, matrix.rows, matrix.columns)):
            _check_shape(matrix, config, f"{where}.{matrix.name}", problems)
    return config


def credential_named(value: Any) -> str | None:
    """The credential that is named in the place of a secret, `{"credential": NAME}`; None if it is something else."""
    name = value.get("credential") if isinstance(value, Mapping) and len(value) == 1 else None
    return name if isinstance(name, str) and re.fullmatch(CREDENTIAL, name) else None


def _value(parameter: ParameterSpec, value: Any, held: Any, where: str, problems: list[Problem]) -> Any:
    """The value as it will be held. What is returned with a problem means nothing."""
    kind = parameter.kind
    if parameter.secret and credential_named(value) is not None:
        return dict(value)
    if kind == "float" or kind == "int":
        return _number(parameter, value, where, problems)
    if kind == "list":
        return _list(parameter, value, held, where, problems)
    if kind == "matrix":
        return _matrix(parameter, value, where, problems)
    if kind == "bool":
        if not isinstance(value, bool):
            _mistyped(parameter, "true or false", value, where, problems)
    elif not isinstance(value, str):
        wanted = "one of its choices, a text" if kind == "choice" else "a text"
        named = ', or {"credential": NAME}' if parameter.secret else ""
        _mistyped(parameter, f"{wanted}{named}", value, where, problems)
    elif kind == "choice":
        if value not in parameter.choices:
            message = f"'{shortened(value)}' is not a choice of {parameter.name}."
            problems.append(Problem("unknown_choice", message + _choices(value, parameter), where, _allowed(parameter)))
    else:
        _check_text(parameter, value, where, problems)
    return value


def _number(parameter: ParameterSpec, value: Any, where: str, problems: list[Problem]) -> float | int | None:
    whole = parameter.kind == "int"
    number_type = type(value)
    if number_type is float:
        if not math.isfinite(value) or (whole and not value.is_integer()):
            _mistyped(parameter, _number_wanted(parameter), value, where, problems)
            return None
    elif number_type is not int:
        _mistyped(parameter, _number_wanted(parameter), value, where, problems)
        return None
    minimum, maximum = parameter.minimum, parameter.maximum
    if (minimum is not None and value < minimum) or (maximum is not None and value > maximum):
        message = f"{parameter.name} {_range(parameter)}, not {spoken(value)}."
        problems.append(Problem("out_of_range", message, where, _allowed(parameter)))
        return None
    if whole:
        return int(value)
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits, where the spec sets no bound
        message = f"{parameter.name} is beyond what a number in the core can be (±1.8e308)."
        problems.append(Problem("out_of_range", message, where, _allowed(parameter)))
        return None


def _check_text(parameter: ParameterSpec, value: str, where: str, problems: list[Problem]) -> None:
    most = TEXT_MAXIMUM if parameter.maximum is None else int(parameter.maximum)
    if len(value) > most:
        message = f"{parameter.name} has {len(value)} characters; at most {most} are possible."
        problems.append(Problem("out_of_range", message, where, {"maximum": most}))
    elif flaw := flaw_in_text(value):
        problems.append(Problem("wrong_type", f"{parameter.name} contains {flaw}.", where))


def _list(parameter: ParameterSpec, value: Any, held: Any, where: str, problems: list[Problem]) -> list[Any] | None:
    fields = record_fields(parameter)
    owner = f"a record of {parameter.name}"
    if isinstance(value, Mapping):
        changed = list(held)
        for key, record in value.items():
            index = int(key) if str(key).isdecimal() and len(str(key)) < 10 else -1
            if not 0 <= index < len(changed):
                message = (
                    f"{parameter.name} has no record {shortened(key)}: there are {len(changed)}, counted from 0. "
                    "To add or take away records, give the whole list."
                )
                problems.append(Problem("out_of_range", message, f"{where}[{shortened(key)}]"))
            else:
                changed[index] = _record(fields, record, changed[index], f"{where}[{index}]", owner, problems)
        return changed
    if not isinstance(value, (list, tuple)):
        wanted = "a list of records, or a mapping of indices to records"
        _mistyped(parameter, wanted, value, where, problems)
        return None
    if not parameter.count_minimum <= len(value) <= parameter.count_maximum:
        message = (
            f"{parameter.name} takes {parameter.count_minimum} to {parameter.count_maximum} records, not {len(value)}."
        )
        bounds = {"minimum": parameter.count_minimum, "maximum": parameter.count_maximum}
        problems.append(Problem("out_of_range", message, where, bounds))
        return None
    return [_record(fields, record, None, f"{where}[{i}]", owner, problems) for i, record in enumerate(value)]


def _matrix(parameter: ParameterSpec, value: Any, where: str, problems: list[Problem]) -> list[list[Any]] | None:
    """Rows of numbers; null is off. The shape is checked once everything is known that decides it."""
    if not isinstance(value, (list, tuple)):
        _mistyped(parameter, "a list of rows", value, where, problems)
        return None
    matrix = []
    for i, row in enumerate(value):
        if not isinstance(row, (list, tuple)):
            wanted = "lists of numbers for its rows, null for off"
            _mistyped(parameter, wanted, row, f"{where}[{i}]", problems)
            continue
        matrix.append(
            [
                None if cell is None else _number(parameter, cell, f"{where}[{i}][{j}]", problems)
                for j, cell in enumerate(row)
            ]
        )
    return matrix


def _check_shape(parameter: ParameterSpec, config: Mapping[str, Any], where: str, problems: list[Problem]) -> None:
    rows, columns = config[parameter.rows], config[parameter.columns]
    matrix = config[parameter.name]
    flaw = ""
    if len(matrix) != rows:
        flaw = f"{parameter.name} has {len(matrix)} rows, but {parameter.rows} is {rows}"
    else:
        ragged = next((i for i, row in enumerate(matrix) if len(row) != columns), None)
        if ragged is not None:
            where = f"{where}[{ragged}]"
            length = len(matrix[ragged])
            flaw = f"Row {ragged} of {parameter.name} has {length} columns, but {parameter.columns} is {columns}"
    if flaw:
        message = f"{flaw}. Give {rows} rows of {columns}, or null for the type's own matrix."
        problems.append(Problem("wrong_type", message, where, {"rows": rows, "columns": columns}))


# ---- Saying what is wrong ----------------------------------------------------------------------------------------


def _mistyped(parameter: ParameterSpec, wanted: str, value: Any, where: str, problems: list[Problem]) -> None:
    hint = ""
    if isinstance(value, str) and parameter.kind in ("float", "int", "matrix", "bool"):
        hint = _unquoted(parameter, value)
    given = "what was given" if parameter.secret else spoken(value)
    message = f"{parameter.name} must be {wanted}, not {given}.{hint}"
    problems.append(Problem("wrong_type", message, where, _allowed(parameter)))


def _unquoted(parameter: ParameterSpec, text: str) -> str:
    """What somebody meant who put a number or a truth value into quotes."""
    if parameter.kind == "bool":
        return f" Write {text.lower()} without quotes." if text.lower() in ("true", "false") else ""
    word = text.strip()
    if parameter.unit:
        word = word.removesuffix(parameter.unit).strip()
    try:
        finite = math.isfinite(float(word))
    except ValueError:
        return ""
    return f" Write {word} without quotes{' or unit' if word != text else ''}." if finite else ""


def _number_wanted(parameter: ParameterSpec) -> str:
    noun = "a whole number" if parameter.kind == "int" else "a number"
    return f"{noun} in {parameter.unit}" if parameter.unit else noun


def _range(parameter: ParameterSpec) -> str:
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.minimum is None:
        return f"is at most {spoken(parameter.maximum)}{unit}"
    if parameter.maximum is None:
        return f"is at least {spoken(parameter.minimum)}{unit}"
    return f"goes from {spoken(parameter.minimum)} to {spoken(parameter.maximum)}{unit}"


def _choices(value: str, parameter: ParameterSpec) -> str:
    """Choices are few: all of them, even where one is near."""
    near = suggestion(shortened(value), parameter.choices)
    everything = f" Choices: {', '.join(parameter.choices)}."
    return everything if near.startswith(" Known") else near + everything


def _allowed(parameter: ParameterSpec) -> dict[str, Any]:
    """What a program may want to know of the parameter that a problem is about."""
    facts = {
        "minimum": parameter.minimum,
        "maximum": parameter.maximum,
        "unit": parameter.unit,
        "choices": list(parameter.choices),
    }
    return {key: fact for key, fact in facts.items() if fact not in (None, "", [])}


# ---- Using -------------------------------------------------------------------------------------------------------


def flatten(spec: NodeSpec, config: Mapping[str, Any]) -> tuple[list[float], int]:
    """The core's view of a complete configuration (`csrc/node_type.h`): its parameters' values in the order of their
    declaration, and the number of records in the type's list.

    A scalar is one number: a bool 0 or 1, a choice its index. A list gives records × fields numbers, a matrix
    rows × columns; off is -inf, and every cell of a matrix that was not given is NaN: the type's own matrix.
    """
    values: list[float] = []
    count = 0
    for parameter in spec.parameters:
        if not parameter.core:
            continue
        value = config[parameter.name]
        if parameter.kind == "list":
            count = len(value)
            for record in value:
                values.extend([_scalar(field, record[field.name]) for field in parameter.fields])
        elif parameter.kind != "matrix":
            values.append(_scalar(parameter, value))
        elif value is None:
            values.extend([math.nan] * (config[parameter.rows] * config[parameter.columns]))
        else:
            values.extend([-math.inf if cell is None else cell for row in value for cell in row])
    return values, count


def _scalar(parameter: ParameterSpec, value: Any) -> float:
    if parameter.kind == "choice":
        return float(parameter.choices.index(value))
    return math.nan if value is None else float(value)


def structure_of(spec: NodeSpec, config: Mapping[str, Any]) -> Structure:
    """What of a complete configuration a node object is built on: structure parameters, and how long its lists are."""
    return tuple(
        (parameter.name, len(config[parameter.name]) if parameter.kind == "list" else config[parameter.name])
        for parameter in spec.parameters
        if parameter.structure or parameter.kind == "list"
    )


def redact(spec: NodeSpec, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as it may be shown. A secret that is set reads `{"secret": true}`; one left empty reads so, and
    one that is a credential's by its name."""
    return _redacted(type_fields(spec), config)


def _redacted(fields: Fields, config: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(config)
    for name, parameter in fields.by_name.items():
        if parameter.secret and isinstance(shown.get(name), str) and shown[name]:
            shown[name] = dict(SECRET)
        elif parameter.kind == "list" and any(field.secret for field in parameter.fields):
            shown[name] = [_redacted(record_fields(parameter), record) for record in shown[name]]
    return shown


def keep_secrets(spec: NodeSpec, given: Any, held: Mapping[str, Any]) -> Any:
    """`given` with every `{"secret": true}` in it replaced by what a node of this type holds now."""
    if not isinstance(given, Mapping):
        return given
    secrets = (parameter.name for parameter in spec.parameters if parameter.secret)
    return {**given, **{name: held[name] for name in secrets if given.get(name) == SECRET}}


def abridge(spec: NodeSpec, config: Mapping[str, Any]) -> dict[str, Any]:
    """What of a complete configuration differs from the defaults: what a person would have written."""
    return _abridged(type_fields(spec), config)


def _abridged(fields: Fields, config: Mapping[str, Any]) -> dict[str, Any]:
    short = {}
    for name, value in config.items():
        parameter = fields.by_name.get(name)
        if parameter is None or value != fields.defaults[name]:
            if parameter is not None and parameter.kind == "list":
                value = [_abridged(record_fields(parameter), record) for record in value]
            short[name] = value
    return short
