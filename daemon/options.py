"""What `tonnetzd` can be told on its command line."""

from __future__ import annotations

import argparse
from pathlib import Path

from .version import __version__

SYSTEM_CONFIG = Path("/etc/tonnetz/tonnetz.yaml")


def config_path(given: Path | None) -> Path | None:
    """The configuration to read: the one that was named, else the system's if there is one, else none."""
    return given or (SYSTEM_CONFIG if SYSTEM_CONFIG.exists() else None)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="tonnetzd",
        description="Runs a live audio graph that can be edited while it plays.",
        epilog="Talk to it with the tonnetz command, for example: tonnetz status",
    )
    made.add_argument(
        "--config", type=Path, metavar="FILE", help=f"configuration (YAML or JSON); {SYSTEM_CONFIG} if that exists"
    )
    made.add_argument(
        "--check", action="store_true", help="check the configuration and its graph, change nothing, exit 0 or 2"
    )
    made.add_argument("--log-level", choices=["debug", "info", "warning", "error"], default="info")
    made.add_argument("--print-unit", action="store_true", help="print the unit that install-units would write")
    made.add_argument("--version", action="version", version=f"tonnetzd {__version__}")
    made.set_defaults(user=False, root=Path("/"))
    commands = made.add_subparsers(dest="command", metavar="install-units", help="write the files of the service")
    units = commands.add_parser(
        "install-units",
        help="write the units, the bus policy and the rest of the service to where they belong",
        description="Writes what makes Tonnetz a service of systemd and D-Bus, and says what to do next.",
    )
    units.add_argument("--user", action="store_true", help="a service of your own instead of the system's")
    units.add_argument(
        "--root", type=Path, metavar="DIR", default=Path("/"), help="write below this folder, for a package or an image"
    )
    units.add_argument("--print-unit", action="store_true", help="print the unit, and write nothing")
    return made
