"""Which probes hang on which nodes of the graph, and how they follow these from one node object to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .core import CoreCommit, CoreNode
from .core_probes import Probe
from .parts import Part


@dataclass(eq=False)
class Hung:
    """A probe on stage. `fits` tells whether another object of the node has the same port with the same channels."""

    probe: Probe
    node_id: str
    fits: Callable[[Part], bool]
    core: CoreNode


class Probes:
    """Those that hang somewhere. Commits are the stage's, which tells of those that were handed over."""

    def __init__(self) -> None:
        self._hung: dict[Probe, Hung] = {}

    def hung(self, probe: Probe, part: Part, fits: Callable[[Part], bool]) -> None:
        """It hangs on this part from now on."""
        self._hung[probe] = Hung(probe, part.plan_node.id, fits, part.core)

    def gone(self, probe: Probe) -> None:
        """It hangs nowhere any more."""
        self._hung.pop(probe, None)

    def follow(self, commit: CoreCommit, made: Iterable[Part]) -> None:
        """In the commit that brings new node objects the probes go over to them, as far as they fit."""
        for hung, part in self._heirs(made):
            hung.probe.move(commit, hung.core, part.core)

    def followed(self, made: Iterable[Part]) -> None:
        """These objects are on stage now."""
        for hung, part in self._heirs(made):
            hung.core = part.core

    def _heirs(self, made: Iterable[Part]) -> Iterator[tuple[Hung, Part]]:
        if not self._hung:
            return
        parts = {part.plan_node.id: part for part in made}
        for hung in self._hung.values():
            part = parts.get(hung.node_id)
            if part is not None and hung.fits(part):
                yield hung, part

    def hangs_on(self, probe: Probe, core: CoreNode) -> bool:
        """Whether it hangs on this very object."""
        hung = self._hung.get(probe)
        return hung is not None and hung.core is core

    def __iter__(self) -> Iterator[Probe]:
        return iter(list(self._hung))
