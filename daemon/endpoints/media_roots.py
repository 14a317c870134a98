"""Which files the graph may play and where it may record: clients name paths, the daemon's configuration sets
the bounds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..problems import Problem, Refusal

_WHERE = "config.path"


@dataclass(frozen=True)
class MediaRoots:
    """The folders below which players may read and recorders may write, judged after following links and `..`."""

    play_roots: tuple[Path, ...] = (Path("/srv/audio"),)
    record_root: Path = Path("/var/lib/tonnetz/recordings")
    record_anywhere: bool = False  # for whoever acts with their own rights, as `tonnetz render` does

    def to_play(self, path: str) -> Path:
        """The file that `path` means, absolute and free of links; it need not exist.

        A relative path starts at the first root that has such a file, else at the first root. Refusal (forbidden) where
        it leads out of the roots.
        """
        found = [_real(root / path) for root in self.play_roots]  # an absolute path stays as it is
        roots = [_real(root) for root in self.play_roots]
        within = [file for file in found if any(file.is_relative_to(root) for root in roots)]
        there = next((file for file in within if file.exists()), None)
        if there:
            return there
        outside = next((file for file in found if file not in within), None)
        if outside or not within:
            places = ", ".join(map(str, self.play_roots)) or "none"
            leads = f" leads to {outside}, which" if outside and str(outside) != path else ""
            raise _forbidden(
                f"'{path}'{leads} is outside the folders that may be played from ({places}). "
                "Put the file there, or add its folder to media.play_roots in the daemon's configuration."
            )
        return within[0]

    def to_record(self, path: str) -> Path:
        """The file to be that `path` means, absolute and free of links.

        Refusal (forbidden) where it leads out of the root.
        """
        file, root = _real(self.record_root / path), _real(self.record_root)
        if not self.record_anywhere and not (file.is_relative_to(root) and file != root):
            leads = f" leads to {file}, which" if str(file) != path else ""
            raise _forbidden(
                f"'{path}'{leads} is outside the folder that may be recorded to ({self.record_root}). "
                "Name a path in it, or change media.record_root in the daemon's configuration."
            )
        return file


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _forbidden(message: str) -> Refusal:
    return Refusal("forbidden", f"{_WHERE}: {message}", [Problem("forbidden", message, _WHERE)])


def forbidden(resolve: Callable[[], object]) -> Sequence[Problem]:
    """What resolving a path is refused for; nothing where it is not."""
    try:
        resolve()
    except Refusal as refusal:
        return refusal.problems
    return ()
