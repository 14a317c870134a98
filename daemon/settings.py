"""The configuration file: `tonnetz.yaml` (JSON is YAML too) as frozen values. Unknown keys are errors with a
suggestion.

Everything has a default, so an empty file, or none, is a working configuration.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

import msgspec
import yaml
from msgspec import Meta

from .annotations import choices
from .caller import Role
from .graph.wording import spoken
from .misfits import misfit
from .problems import Problem, Refusal, refuse, suggestion
from .tokens import NAME


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The common base of the sections."""


Clock = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="clock (auto, internal, freewheel, step, or a node's id)")
]
Mode = Annotated[str, Meta(pattern=r"^0?[0-7]{3}$", description='mode (octal digits in quotes, as "0660")')]
Bus = Annotated[
    str,
    Meta(pattern=r"^(system|session|[a-z-]+:.+)$", description="bus (system, session, or an address as unix:path=/…)"),
]


class EngineSettings(Section, frozen=True, kw_only=True):
    """`clock`: auto goes by the first sound card of the graph, and by the machine's timer while that does not run; the
    id of a node by that node's card; internal by the timer, freewheel as fast as the endpoints allow, step only when
    told to."""

    sample_rate: Annotated[int, Meta(ge=8000, le=384_000)] = 48000
    block_frames: Annotated[int, Meta(ge=16, le=2048)] = 256
    clock: Clock = "auto"
    realtime_priority: Annotated[int, Meta(ge=0, le=98)] = 70  # SCHED_FIFO; 0: ordinary scheduling
    latency_compensation: bool = True  # nodes that look ahead are late; `false` leaves all ways as they are


class SocketSettings(Section, frozen=True, kw_only=True):
    path: str = ""  # empty: $TONNETZ_SOCKET, /run/tonnetz/control.sock or $XDG_RUNTIME_DIR/tonnetz/control.sock
    mode: Mode = "0660"
    group: str = ""  # empty: the group of the process


class GivenToken(Section, frozen=True, kw_only=True):
    """A token that comes with the service, as a credential: for machines that a program sets up."""

    name: Annotated[str, Meta(pattern=f"^{NAME}$")]
    credential: Annotated[str, Meta(pattern=r"^tonnetz\.[A-Za-z0-9_.@-]{1,240}$")]  # no node gets one of that name
    role: Role = "operator"


class HttpSettings(Section, frozen=True, kw_only=True):
    listen: str = "127.0.0.1:8420"
    allowed_hosts: tuple[str, ...] = ()
    require_token: Literal["auto"] | bool = "auto"  # noqa: S105 - a rule, not a token
    tokens: tuple[GivenToken, ...] = ()


class DbusSettings(Section, frozen=True, kw_only=True):
    bus: Bus = "system"  # `system`, `session` or an address (`unix:path=…`)
    group: str = ""  # empty: as at the socket


class DoorSettings(Section, frozen=True, kw_only=True):
    """Each door, or `false` for none."""

    socket: SocketSettings | Literal[False] = SocketSettings()
    http: HttpSettings | Literal[False] = HttpSettings()
    dbus: DbusSettings | Literal[False] = DbusSettings()


class StorageSettings(Section, frozen=True, kw_only=True):
    """Where the graph and its history outlive the daemon, and how much of the past is kept: by default some weeks of a
    busy studio. A parameter turned takes some 0.7 kB, an import of 10,000 nodes some 8 MB."""

    directory: str = ""  # empty: $STATE_DIRECTORY, /var/lib/tonnetz or $XDG_STATE_HOME/tonnetz
    durability: Literal["crash", "full"] = "crash"
    history_transactions: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    history_mb: Annotated[int, Meta(ge=1, le=100_000)] = 100


class MediaSettings(Section, frozen=True, kw_only=True):
    """Where players may read and recorders may write; relative paths in nodes start there, relative ones here at
    the file."""

    play_roots: tuple[str, ...] = ("/srv/audio",)
    record_root: str = "/var/lib/tonnetz/recordings"


class Settings(Section, frozen=True, kw_only=True):
    engine: EngineSettings = EngineSettings()
    doors: DoorSettings = DoorSettings()
    storage: StorageSettings | Literal[False] = StorageSettings()
    media: MediaSettings = MediaSettings()
    graph: dict[str, Any] = {}
    autostart: bool = True


def load_settings(path: Path | None) -> Settings:
    """The settings in a file, or the defaults. Refusal (invalid_config) with every problem found."""
    if path is None:
        return Settings()
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise Refusal("invalid_config", f"The configuration {path} can't be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal("invalid_config", f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    settings = parse_settings({} if data is None else data)
    return _anchored(settings, path.absolute().parent)


def parse_settings(data: Any) -> Settings:
    """Settings from plain data. Refusal with all problems, each with its path."""
    problems = list(_problems(data, Settings, ""))
    if problems:
        raise refuse("invalid_config", problems)
    return msgspec.convert(data, Settings)


def _problems(data: Any, section: type[Section], where: str) -> Iterator[Problem]:
    """Everything that is wrong in a section, and in those below it."""
    fields = {field.name: field.type for field in msgspec.structs.fields(section)}
    if not isinstance(data, Mapping):
        what = "A section" if where else "The configuration"
        yield Problem("wrong_type", f"{what} is a mapping ({', '.join(fields)}), not {spoken(data)}.", where)
        return
    for key, value in data.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in fields:
            message = f"There is no setting '{key}' {'in ' + where if where else 'here'}.{suggestion(str(key), fields)}"
            yield Problem("unknown_parameter", message, place)
            continue
        kind = fields[key]
        below = _sections(kind)
        if get_origin(kind) is tuple:
            items = value if below and isinstance(value, list) else ()
            found = [problem for n, item in enumerate(items) for problem in _problems(item, below[0], f"{place}[{n}]")]
            yield from found or misfit(value, kind, place)
        elif below and not (value is False and False in choices(kind)):
            yield from _problems(value, below[0], place)
        else:
            yield from misfit(value, kind, place)


def _sections(kind: Any) -> list[type[Section]]:
    """The section types that a field's type admits."""
    options = getattr(kind, "__args__", (kind,))
    return [option for option in options if isinstance(option, type) and issubclass(option, Section)]


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Relative paths in a configuration file start where the file lies."""
    media = MediaSettings(
        play_roots=tuple(str(folder / root) for root in settings.media.play_roots),
        record_root=str(folder / settings.media.record_root),
    )
    doors = settings.doors
    if doors.socket and doors.socket.path:
        socket = msgspec.structs.replace(doors.socket, path=str(folder / doors.socket.path))
        doors = msgspec.structs.replace(doors, socket=socket)
    storage = settings.storage
    if storage and storage.directory:
        storage = msgspec.structs.replace(storage, directory=str(folder / storage.directory))
    return msgspec.structs.replace(settings, media=media, doors=doors, storage=storage)


def socket_path(settings: SocketSettings) -> str:
    """Where the control socket goes: as configured, else TONNETZ_SOCKET, /run/tonnetz (where that may be written),
    the user's own."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    system = "/run/tonnetz"
    user = f"{runtime}/tonnetz/control.sock"
    default = f"{system}/control.sock" if os.getuid() == 0 or os.access(system, os.W_OK) else user
    return settings.path or os.environ.get("TONNETZ_SOCKET", "") or default


def http_address(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8420`, `[::1]:8420`, `localhost:8420`. Port 0: any that is free. A Refusal else."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})", listen)
    if found is None or int(found[3]) > 65535:
        message = f"'{listen}' is no address to listen on, such as 127.0.0.1:8420 or [::1]:8420."
        raise refuse("invalid_config", [Problem("invalid_value", message, "doors.http.listen")])
    return found[1] or found[2], int(found[3])


def storage_folder(settings: StorageSettings) -> str:
    """Where things are stored: as configured, else what systemd gave us, /var/lib/tonnetz (where that may be written),
    the user's own."""
    system = "/var/lib/tonnetz"
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    default = system if os.getuid() == 0 or os.access(system, os.W_OK) else f"{home}/tonnetz"
    return settings.directory or os.environ.get("STATE_DIRECTORY", "").partition(":")[0] or default


def file_mode(text: str) -> int:
    return int(re.sub(r"^0o?", "", text) or "0", 8)
