"""What is on stage, as nouns: node objects, links with their fades, and what a change of them is made of.

`stage.py` makes these and submits them. Everything here is on the loop's thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from ..graph.config import flatten
from ..graph.node_state import NodeState
from ..graph.plan import PlanNode, Wire
from ..graph.spec import NodeSpec
from .core import CoreLink, CoreNode
from .ring import Ring


class OutsideState(Protocol):
    """How a player or recorder is."""

    @property
    def name(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def detail(self) -> Mapping[str, Any]: ...


class Outside(Protocol):
    """What stands behind a node with a ring: a player, a recorder (daemon/endpoints)."""

    @property
    def node_id(self) -> str: ...

    @property
    def ring(self) -> Ring: ...

    @property
    def state(self) -> OutsideState: ...

    def start(self) -> None: ...

    def configure(self, config: Mapping[str, Any]) -> None: ...

    def drain(self) -> None:
        """Of a player: begin the end, and let what is ready be heard."""

    def close(self, length: int | None = None) -> None:
        """Begin the end. `length`: of all that a recorder's ring was given, so many frames belong into the
        recording."""

    def join(self, timeout_s: float) -> bool: ...


class Settings(NamedTuple):
    """What a node object is set to: its parameters as the core takes them, and the whole configuration."""

    values: Sequence[float]
    list_count: int
    config: Mapping[str, Any]

    @classmethod
    def of(cls, spec: NodeSpec, config: Mapping[str, Any]) -> Settings:
        """Those of a node of this type and configuration."""
        return cls(*flatten(spec, config), config)


@dataclass(eq=False)
class Part:
    """A node object on stage."""

    plan_node: PlanNode
    settings: Settings  # those it was made with
    core: CoreNode
    outside: Outside | None
    adopted: int | None = None  # the frame of its first block, once known
    started: bool = False
    reach: int = 0  # of one that drains: for how many frames sound may be in it without being heard

    def could_be(self, node: PlanNode, settings: Settings) -> bool:
        """Whether one made for this node would be just like this one, as long as this one has not sounded."""
        mine = self.plan_node
        alike = (mine.id, mine.spec.type, mine.structure) == (node.id, node.spec.type, node.structure)
        return alike and mine.channels == node.channels and self.settings == settings

    def start(self) -> None:
        """Lets the player or recorder behind it begin, if there is one and it has not."""
        if self.outside is not None and not self.started:
            self.started = True
            self.outside.start()

    def drain(self) -> None:
        """It was removed, and is to play what is ready."""
        if self.outside is not None:
            self.outside.drain()

    def close(self, end: int) -> None:
        """Its sound is over at frame `end`."""
        if self.outside is None:
            return
        if self.plan_node.is_sink and self.adopted is not None:
            self.outside.close(max(0, end - self.adopted))
        else:
            self.outside.close()


@dataclass(eq=False)
class Change:
    """A commit under way: what to do once the engine tells at which frame it was adopted."""

    frame: asyncio.Future[int]
    fade_frames: int = 0
    wait_frames: int = 0  # before the last of its fades begins
    made: Sequence[Part] = ()
    silenced: Sequence[Part] = ()  # sinks that hear nothing once the fade is over
    gone: Sequence[Part] = ()  # no longer in the plan
    drained: Sequence[Part] = ()  # begin to play out what they hold
    ends: int | None = field(default=None, init=False)


class LetGo(NamedTuple):
    """The audio thread had enough of a link that drained."""

    ends: int  # the frame at which its fade is over


class Drain(NamedTuple):
    """A link lets go when it has been inaudible for `quiet` frames, or `limit` have passed; then it fades in `fade`."""

    quiet: int
    limit: int
    fade: int


@dataclass(frozen=True, eq=False)
class Cable:
    """A link on stage: which way it turned last, and what made it do so while its fade may not be over."""

    link: CoreLink
    sounding: bool
    turned_by: Change | LetGo | None = None
    leader: CoreLink | None = None  # another link, in the middle of whose fade this one begins
    wait: int = 0  # so many frames later than the change its fade begins
    drain: Drain | None = None  # it sounds on until the audio thread lets it go

    def is_over(self, frame: int) -> bool:
        return self.turned_by is None or (self.turned_by.ends is not None and self.turned_by.ends <= frame)


@dataclass(frozen=True)
class Order:
    """What a transaction asks of the stage, beside the plan."""

    settings: Mapping[PlanNode, Settings]  # of new and changed nodes
    fade_frames: int
    ramp_frames: int | None  # None: each type's own
    abrupt: frozenset[str] = frozenset()  # nodes whose wires are cut without a fade
    drains: Mapping[str, Settings] = field(default_factory=dict)  # nodes that play out, with what they are set to
    # Nodes that begin without a predecessor's state, though there was one of their id.
    fresh: frozenset[str] = frozenset()
    pacer: PlanNode | None = None  # whose card is the engine's clock; None: the timer is
    states: Mapping[str, NodeState] = field(default_factory=dict)  # by node id: what new nodes begin with
    spare: Sequence[Part] = ()  # made for a change that was taken back: what fits of them is used again


Parts = dict[PlanNode, Part]
Cables = dict[Wire, Cable]
