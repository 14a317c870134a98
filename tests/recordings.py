"""What the file writers of a session have recorded, put back in the place on the time line where they heard it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import soundfile
from numpy.typing import NDArray

from tonnetz.daemon.engine.stage import Part
from tonnetz.daemon.session import Session

Samples = NDArray[np.float32]  # (channels, frames)


@dataclass(frozen=True)
class Recording:
    """What one file holds, and the frame at which its node began to hear."""

    path: Path
    begin: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.begin + self.samples.shape[1]


class Recorders:
    """All recorders that a session has had. `note` after every change that may bring one; `read` when they have ended."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._parts: dict[int, Part] = {}  # by identity, in the order in which they came

    def note(self) -> None:
        for part in self._session.stage.parts.values():
            if part.outside is not None and part.plan_node.is_sink:
                self._parts.setdefault(id(part), part)

    def read(self) -> dict[str, list[Recording]]:
        """Per node its files, in the order in which they began. Those that hold nothing are left out."""
        found: dict[str, list[Recording]] = {}
        for part in self._parts.values():
            recording = self._read(part)
            if recording is not None:
                found.setdefault(part.plan_node.id, []).append(recording)
        return found

    def _read(self, part: Part) -> Recording | None:
        node_id = part.plan_node.id
        assert part.outside is not None and part.outside.join(10.0), f"{node_id} did not finish its file"
        state = msgspec.to_builtins(part.outside.state)
        if not part.started and state["name"] == "starting":
            return None
        assert state["name"] == "ended", f"{node_id}: {state}"
        detail = state["detail"]
        assert detail["lost_frames"] == 0, f"{node_id}: {state}"
        if not detail["frames"]:
            return None
        assert detail["segments"] == 1 and part.adopted is not None, f"{node_id}: {state}"
        path = Path(detail["path"])
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        assert (rate, len(samples)) == (self._session.engine.sample_rate, detail["frames"]), f"{path}: {state}"
        return Recording(path, part.adopted, samples.T)


def joined(node_id: str, pieces: Sequence[Recording]) -> Recording:
    """One recording of files that follow each other without a gap."""
    assert pieces, f"{node_id} has recorded nothing"
    for before, after in itertools.pairwise(pieces):
        assert before.end == after.begin, f"{after.path.name} does not begin where {before.path.name} ends"
    return Recording(pieces[0].path, pieces[0].begin, np.concatenate([piece.samples for piece in pieces], axis=1))
