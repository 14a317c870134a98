"""Documents and lists of edits as text: YAML or JSON in, and out again.

YAML is read as its version 1.2 means it: `no` and `off` are words, `1e3` is a number, `12:30` and `2024-01-01` are
texts. A key given twice is an error. Texts come through doors too, so size and depth are bounded, there is no NaN, and
no alias, with which a few lines can stand for gigabytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from .problems import Problem, Refusal, refuse

if TYPE_CHECKING:
    import yaml

TextFormat = Literal["yaml", "json"]
TEXT_LIMIT = 2 << 20  # characters: a graph of 10,000 nodes in YAML is about one million
DEPTH_LIMIT = 64  # a document has eight levels; libyaml's loader overruns the stack at some 100,000
WIDTH = 118  # columns of the YAML written

# YAML 1.2's core schema: what a word without quotes is, else it is a text.
CORE_SCHEMA = {
    "tag:yaml.org,2002:null": (r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    "tag:yaml.org,2002:int": (r"^[-+]?[0-9]+$", list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$",
        list("-+0123456789."),
    ),
}


def read_text(text: str, what: str = "The text") -> Any:
    """The plain data that a YAML or JSON text stands for. An `invalid_params` refusal says where it goes wrong."""
    if len(text) > TEXT_LIMIT:
        raise _limit(f"{what} has {len(text)} characters; at most {TEXT_LIMIT} are read.")
    if text.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text.encode())
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            pass  # perhaps YAML in flow style; if not, its reader says so with line and column
    import yaml  # slow to import, and not needed for JSON

    loader = _loader()
    try:
        _check_shape(text, what, loader)
        return yaml.load(text, loader)  # noqa: S506 (the loader is a safe one)
    except yaml.YAMLError as error:
        if "nesting depth" in str(error):  # newer ones of libyaml, which looks ahead, find that before we see it
            raise _too_deep(what) from None
        raise _malformed(f"{what} is neither YAML nor JSON: {_place(error)}.") from None
    except UnicodeEncodeError:
        raise _malformed(f"{what} contains half a surrogate pair, which is no character.") from None
    except ValueError:
        raise _malformed(f"{what} contains a number of too many digits.") from None


def write_text(data: Any, format: TextFormat) -> str:
    """Plain data as text that `read_text` reads back; what is short stands on one line in YAML."""
    if format == "json":
        return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"
    return _dumped(data, flow=None)


def write_document(document: Mapping[str, Any], format: TextFormat) -> str:
    """A document laid out for people and for version control: in each list an entry a line, or a block where a line
    would be too long, with room around for comments."""
    lists = {key: value for key, value in document.items() if isinstance(value, list)}
    rest = {key: value for key, value in document.items() if key not in lists}
    if format == "json":
        parts = [f"  {_json(key)}: {_json(value)}" for key, value in rest.items()]
        for key, entries in lists.items():
            lines = ",\n".join(f"    {_json(entry)}" for entry in entries)
            parts.append(f"  {_json(key)}: [\n{lines}\n  ]" if entries else f"  {_json(key)}: []")
        return "{\n" + ",\n".join(parts) + "\n}\n"
    text = "".join(_dumped({key: value}, flow=False) for key, value in rest.items())
    for key, entries in lists.items():
        text += f"\n{key}:\n" if entries else f"\n{key}: []\n"
        text += "".join(map(_entry, entries))
    return text


def _json(value: Any) -> str:
    """On one line, as people write it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def _entry(entry: Any) -> str:
    line = _dumped(entry, flow=True, width=1 << 30)
    if len(line) + 4 <= WIDTH:
        return f"  - {line}"
    return "  - " + _dumped(entry, flow=None).rstrip("\n").replace("\n", "\n    ") + "\n"


def _dumped(data: Any, flow: bool | None, width: int = WIDTH) -> str:
    """`flow`: all of it in braces, none of it, or None: only what is innermost."""
    import yaml

    text: str = yaml.dump(
        data, Dumper=_dumper(), sort_keys=False, allow_unicode=True, default_flow_style=flow, width=width
    )
    return text


def _check_shape(text: str, what: str, loader: Any) -> None:
    import yaml

    depth = 0
    for event in yaml.parse(text, loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEPTH_LIMIT:
                raise _too_deep(what)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            raise _flaw("aliases (*name) are not read; write it out", event.start_mark)


def _too_deep(what: str) -> Refusal:
    return _limit(f"{what} is nested too deeply; {DEPTH_LIMIT} levels are read.")


def _limit(message: str) -> Refusal:
    return refuse("invalid_params", [Problem("limit", message)])


def _malformed(message: str) -> Refusal:
    return refuse("invalid_params", [Problem("malformed", message)])


def _flaw(problem: str, mark: Any) -> yaml.YAMLError:
    import yaml

    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _place(error: yaml.YAMLError) -> str:
    """What went wrong, and where, in one line."""
    mark = getattr(error, "problem_mark", None)
    words = " ".join(str(getattr(error, "problem", None) or error).split())
    return f"{words}, in line {mark.line + 1}, column {mark.column + 1}" if mark else words


@cache
def _loader() -> Any:
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        """libyaml's where there is one: ten times as fast."""

        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            mapping: dict[Any, Any] = super().construct_mapping(node, deep)
            if len(mapping) < len(node.value):
                seen: set[str] = set()
                for key, _ in node.value:
                    if key.value in seen:
                        raise _flaw(f"the key '{key.value}' is given twice", key.start_mark)
                    seen.add(key.value)
            return mapping

    for tag, (pattern, first) in CORE_SCHEMA.items():
        Loader.add_implicit_resolver(tag, re.compile(pattern), first)
    # Decimal only: 010 is ten, not eight.
    Loader.add_constructor("tag:yaml.org,2002:int", lambda loader, node: int(loader.construct_scalar(node)))
    return Loader


@cache
def _dumper() -> Any:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """Writes texts in quotes where version 1.1 or 1.2 of YAML would take them for something else."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
            return True

    for tag, (pattern, first) in CORE_SCHEMA.items():
        Dumper.add_implicit_resolver(tag, re.compile(pattern), first)
    return Dumper
