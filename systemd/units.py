"""Writes the files of this folder to where systemd and D-Bus look for them, with the path of this installation's
commands put in.

They name /usr/bin/tonnetzd and /usr/bin/tonnetz, where a distribution's package has them; nothing else is replaced.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import msgspec

PACKAGED = "/usr/bin/"
UNIT = "tonnetz.service"
CONFIGURATION = "tonnetz.yaml"
# What an administrator installs goes below /etc; packages use the same names below /usr/lib.
SYSTEM: Mapping[str, str] = {
    "tonnetz.service": "/etc/systemd/system/tonnetz.service",
    "tonnetz.socket": "/etc/systemd/system/tonnetz.socket",
    "org.tonnetz.Tonnetz1.conf": "/etc/dbus-1/system.d/org.tonnetz.Tonnetz1.conf",
    "org.tonnetz.Tonnetz1.service": "/usr/local/share/dbus-1/system-services/org.tonnetz.Tonnetz1.service",
    "tonnetz.sysusers": "/etc/sysusers.d/tonnetz.conf",
    "tonnetz.tmpfiles": "/etc/tmpfiles.d/tonnetz.conf",
    "tonnetz.yaml": "/etc/tonnetz/tonnetz.yaml",
}
USER: Mapping[str, str] = {
    "user/tonnetz.service": "CONFIG/systemd/user/tonnetz.service",
    "user/tonnetz.socket": "CONFIG/systemd/user/tonnetz.socket",
    "user/org.tonnetz.Tonnetz1.service": "DATA/dbus-1/services/org.tonnetz.Tonnetz1.service",
    "user/tonnetz.yaml": "CONFIG/tonnetz/tonnetz.yaml",
}
HIDDEN = ("/home", "/root", "/run/user")  # from the system's service, by ProtectHome=
NEXT_SYSTEM = (
    "systemd-sysusers",
    "systemd-tmpfiles --create tonnetz.conf",
    "systemctl daemon-reload",
    "systemctl reload dbus",
    "systemctl enable --now tonnetz",
)
NEXT_USER = (
    "systemctl --user daemon-reload",
    "busctl --user call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig",
    "systemctl --user enable --now tonnetz",
)


class CanNotInstall(Exception):
    """In words: what stands in the way, and what to do."""


class Written(msgspec.Struct, frozen=True):
    """A file that was written, or that was kept since it is the administrator's."""

    path: Path
    kept: bool


def text_of(name: str, commands: Path) -> str:
    """A file of this folder for commands that lie in `commands`."""
    text = resources.files(__package__ or "tonnetz.systemd").joinpath(name).read_text()
    return text.replace(PACKAGED, f"{commands}/")


def install(commands: Path, *, user: bool = False, root: Path = Path("/")) -> Iterator[Written]:
    """Writes all files of the system's service, or of a user's own, below `root`. Raises CanNotInstall, OSError."""
    if not user:
        check_visible(commands)
    for name, place in (USER if user else SYSTEM).items():
        path = root / resolved(place).lstrip("/")
        kept = name.endswith(CONFIGURATION) and path.exists()
        if not kept:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text_of(name, commands))
            path.chmod(0o644)
        yield Written(path, kept)


def resolved(place: str) -> str:
    """With the user's own folders in it."""
    home = os.path.expanduser("~")
    config = os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    data = os.environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    return place.replace("CONFIG", config, 1).replace("DATA", data, 1)


def own_commands() -> Path:
    """The folder in which this installation's tonnetzd and tonnetz lie. Raises CanNotInstall."""
    beside = Path(sys.executable).parent
    found = shutil.which("tonnetzd", path=str(beside)) or shutil.which("tonnetzd")
    if found is None:
        raise CanNotInstall("tonnetzd is not in PATH; install Tonnetz first (pip install, or ./dev build)")
    return Path(found).parent


def check_visible(commands: Path) -> None:
    """The system's service does not see homes, so it can't be started from one."""
    for path in (commands, Path(sys.base_prefix)):
        if any(path.is_relative_to(home) for home in HIDDEN):
            message = f"{path} lies in a home, which a system's service does not see. Install Tonnetz elsewhere, "
            raise CanNotInstall(f"{message}for example: python3 -m venv /opt/tonnetz; or use --user")
