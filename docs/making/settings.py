"""The keys of tonnetz.yaml, from the structs in daemon/settings.py and the comments beside their fields."""

from __future__ import annotations

import inspect
import io
import tokenize
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

import msgspec

from tonnetz.daemon import settings
from tonnetz.daemon.settings import Section, Settings

from .markdown import plain, schema_words

# What the fields mean; the comments beside them say the rest. A key that nobody explains stops make.py.
MEANINGS: Mapping[str, str] = {
    "engine.sample_rate": "Frames per second of the whole graph; players and recorders convert.",
    "engine.block_frames": "Frames that are processed at once. An edit takes effect at the beginning of a block.",
    "engine.clock": (
        "`auto`: the first sound card of the graph, of those that play if one does, and the machine's timer while it "
        "does not run; the id of a node: that node's card; `internal`: the timer; `freewheel`: as fast as players and "
        "recorders allow, waiting for them; `step`: only when told to (`tonnetz step`)."
    ),
    "engine.realtime_priority": "Of the audio thread, where the system allows it.",
    "engine.latency_compensation": "Whether sooner ways are held back where they meet later ones.",
    "doors.socket.path": "The control socket; `socket: false` is none.",
    "doors.socket.mode": "Permissions of the socket file, in octal: they say who gets in.",
    "doors.socket.group": "The socket file's group. Members of a group named here are operators.",
    "doors.http.listen": (
        "Address and port of the HTTP door; `http: false` is none. Beyond this machine only with tokens. Port 0: any "
        "that is free; the log names it."
    ),
    "doors.http.allowed_hosts": (
        "Names that requests may call this machine by, beside localhost and addresses: `studio.example`, or with its "
        "port."
    ),
    "doors.http.require_token": "Whether everybody needs a token; `auto`: only where other machines can reach it.",
    "doors.http.tokens[].name": "A token that comes with the service, and what its holder is called.",
    "doors.http.tokens[].credential": "Where it is: a credential of systemd's, by its name (`LoadCredential=`).",
    "doors.http.tokens[].role": "What its holder may do.",
    "doors.dbus.bus": "The message bus on which the daemon is `org.tonnetz.Tonnetz1`; `dbus: false` is none.",
    "doors.dbus.group": "Members of this group are operators on the bus.",
    "storage.directory": (
        "Where the graph and its history are kept, a folder of this daemon's own; `storage: false` keeps nothing."
    ),
    "storage.durability": (
        "What an answered change outlives: `crash` the end of the daemon, however sudden; `full` also that of the "
        "machine's power, which costs every change a sync of the disk."
    ),
    "storage.history_transactions": "How many transactions are kept, at least: to undo, to go back to, to replay.",
    "storage.history_mb": "How large they may be together; the oldest go first.",
    "media.play_roots": "The folders that players may read from.",
    "media.record_root": "The folder that recorders may write to.",
    "graph": "A graph document to start with; `{}` is an empty graph.",
    "autostart": "Whether the engine runs from the start; else `tonnetz start` starts it.",
}


class Key(msgspec.Struct, frozen=True):
    """One line of the configuration. `default` is empty where one has to be given."""

    path: str
    values: str
    default: str
    meaning: str


def keys() -> list[Key]:
    """All keys in the order of their declaration. AssertionError where one is explained not at all, or twice."""
    found = list(_keys(Settings, ""))
    unused = set(MEANINGS) - {key.path for key in found}
    assert not unused, f"docs/making/settings.py explains what is no setting: {unused}"
    return found


def _keys(section: type[Section], prefix: str) -> Iterator[Key]:
    comments = _comments(section)
    (schema,), components = msgspec.json.schema_components([section], ref_template="{name}")
    properties: Mapping[str, Any] = components[schema["$ref"]]["properties"]
    for field in msgspec.structs.fields(section):
        path = f"{prefix}{field.name}"
        inner = [kind for kind in get_args(field.type) or (field.type,) if _is_section(kind)]
        if inner:
            yield from _keys(inner[0], f"{path}[]." if get_origin(field.type) is tuple else f"{path}.")
            continue
        explained = [MEANINGS.get(path), comments.get(field.name)]
        assert explained != [None, None], f"{path} is explained neither in daemon/settings.py nor here"
        meaning = " ".join([_sentence(text) for text in explained if text])
        yield Key(path, schema_words(properties[field.name]), _default(field), meaning)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    made = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return plain(msgspec.to_builtins(made))


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _comments(section: type[Section]) -> dict[str, str]:
    """The comment at the end of each field's line, by the field's name."""
    assert inspect.getsourcefile(section) == settings.__file__
    names: dict[int, str] = {}
    found: dict[str, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(inspect.getsource(section)).readline):
        if token.type == tokenize.NAME:
            names.setdefault(token.start[0], token.string)
        elif token.type == tokenize.COMMENT and not token.string.startswith("# noqa"):
            found[names[token.start[0]]] = token.string.removeprefix("#").strip()
    return found


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
