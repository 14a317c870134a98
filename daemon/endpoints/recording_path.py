"""What recordings are called: a path with fields for date and time, one file for every segment, and never an
old file lost.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..problems import Refusal
from .encoding import ENCODINGS, suffixes
from .media_roots import MediaRoots
from .sound_file import RawFile, create

# The fields of strftime that may stand in a path, and what they look like there. None of them brings a folder of its
# own.
FIELDS: Mapping[str, str] = {
    "Y": r"\d{4}",
    "m": r"\d\d",
    "d": r"\d\d",
    "H": r"\d\d",
    "M": r"\d\d",
    "S": r"\d\d",
    "y": r"\d\d",
    "j": r"\d{3}",
    "I": r"\d\d",
    "p": r"[^/]*",
    "a": r"[^/]+",
    "A": r"[^/]+",
    "b": r"[^/]+",
    "B": r"[^/]+",
    "u": r"\d",
    "V": r"\d\d",
    "G": r"\d{4}",
    "F": r"\d{4}-\d\d-\d\d",
    "T": r"\d\d:\d\d:\d\d",
    "R": r"\d\d:\d\d",
    "s": r"\d+",
    "z": r"[+-]\d{4}",
    "Z": r"[^/]*",
    "%": "%",
}
# What a file of a format may end in; the first is put where none is given.
_SUFFIXES: Mapping[str, tuple[str, ...]] = {"wav": (".wav",), **{name: suffixes(name) for name, _ in ENCODINGS}}
_DAY_S = 86400
_MOST_NUMBERS = 1_000_000


def flaw_in_path(path: str, format: str) -> str:
    """What is wrong with a recorder's path, in a sentence with what to do; empty: nothing."""
    if not path.strip() or path.endswith("/"):
        return "path names no file. Give one, such as 'take.wav' or '%Y-%m-%d/%H-%M-%S.wav'."
    for field in re.findall(r"%(.?)", path.replace("%%", "")):
        if field not in FIELDS:
            known = " ".join(f"%{name}" for name in FIELDS if name != "%")
            return f"path contains '%{field}', which is no date or time. Known: {known}; %% is a percent sign."
    suffix = Path(path).suffix.lower()
    mine = _SUFFIXES[format]
    if suffix not in mine and any(suffix in others for others in _SUFFIXES.values()):
        return f"path ends in {suffix}, but format is {format}. End it in {' or '.join(mine)}, or leave the ending out."
    return ""


class RecordingPath:
    """A path template, complete with the format's suffix."""

    def __init__(self, template: str, format: str, roots: MediaRoots) -> None:
        suffix = Path(template).suffix.lower()
        self.suffix = suffix if suffix in _SUFFIXES[format] else _SUFFIXES[format][0]
        self.template = template if suffix == self.suffix else template + self.suffix
        self._roots = roots
        self._newest: Path | None = None  # what the newest segment was meant to be called
        self._number = 1

    def at(self, moment: time.struct_time) -> Path:
        """Where a segment that begins then belongs. Refusal (forbidden) where that is out of the root."""
        return self._roots.to_record(time.strftime(self.template, moment))

    def check(self) -> None:
        """Refusal (forbidden) where a recording that begins now would lie out of the root."""
        self.at(time.localtime())

    def create(self, moment: time.struct_time) -> tuple[Path, Path, RawFile]:
        """Makes a new file for a segment, and its folders. The path it was meant to have, the path it has, the file.

        Where there is a file of that name, this one is called `name_2`, `name_3` …
        """
        meant = self.at(moment)
        meant.parent.mkdir(parents=True, exist_ok=True)
        for number in range(self._number if meant == self._newest else 1, _MOST_NUMBERS):
            path = meant if number == 1 else meant.with_name(f"{meant.stem}_{number}{meant.suffix}")
            try:
                file = create(path)
            except FileExistsError:
                continue
            self._newest, self._number = meant, number
            return meant, path, file
        raise FileExistsError(errno.EEXIST, f"there are {_MOST_NUMBERS} recordings of this name", str(meant))

    # ---- Keeping only so many days ---------------------------------------------------------------------------------

    def delete_older(self, days: float, keep: Path) -> list[Path]:
        """Deletes recordings of this path last written more than so many days ago, and folders that this leaves empty.

        Only plain files whose whole path could have come from the template. What can't be deleted stays.
        """
        oldest = time.time() - days * _DAY_S
        deleted = []
        for path in self._recordings():
            with contextlib.suppress(OSError, Refusal):
                if self._roots.to_record(str(path)) == keep or path.lstat().st_mtime >= oldest:
                    continue
                path.unlink()
                deleted.append(path)
        for folder in {path.parent for path in deleted}:
            self._remove_empty(folder)
        return deleted

    def _recordings(self) -> Iterator[Path]:
        """All files that this template may have named."""
        *folders, name = Path(self.template).parts
        found = [self._roots.record_root]
        for folder in folders:  # an absolute template begins with the folder "/"
            if "%" in folder:
                found = [child for parent in found for child in _matching(parent, _pattern(folder)) if child.is_dir()]
            else:
                found = [parent / folder for parent in found]
        stem, suffix = name[: -len(self.suffix)], name[-len(self.suffix) :]
        file_name = f"{_pattern(stem)}(_[1-9][0-9]*)?{re.escape(suffix)}"
        for parent in found:
            for path in _matching(parent, file_name):
                if path.is_file() and not path.is_symlink():
                    yield path

    def _remove_empty(self, folder: Path) -> None:
        """Goes up while folders are empty and had a field in their name."""
        dated = [part for part in Path(self.template).parts[:-1] if "%" in part]
        with contextlib.suppress(OSError):
            for pattern in reversed(dated):
                if not re.fullmatch(_pattern(pattern), folder.name):
                    return
                folder.rmdir()
                folder = folder.parent


def _pattern(template: str) -> str:
    """A regular expression for what strftime makes of one part of a path."""
    parts = re.split(r"%(.)", template)
    return "".join(FIELDS[part] if place % 2 else re.escape(part) for place, part in enumerate(parts))


def _matching(folder: Path, pattern: str) -> list[Path]:
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if re.fullmatch(pattern, name)]
    except OSError:
        return []
