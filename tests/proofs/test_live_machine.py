"""Random transactions, one after the other and into each other's fades, against a second opinion: what is accepted and what is refused, and
for which loop (networkx); what everything sounds like when it has settled (numpy: 0 samples of difference); undo, documents, what is left on
stage. The session is the real one, with the real core on the step clock.

A story that goes wrong is told once more as short as it still goes wrong. TONNETZ_STORIES=N tells N stories instead of the few of the ordinary run.
"""

from __future__ import annotations

import os
import random

import pytest

from tonnetz.daemon.graph.edits import AddNode, ConfigureNode, Connect, Disconnect, RemoveNode

from .live_machine import GoOn, Listen, Machine, Step, Story, Transaction, Undo
from .shortening import failure, shortened

STORIES = int(os.environ.get("TONNETZ_STORIES", "60"))
SHARES = 4  # so that several processes can tell them
STEPS = 60
PATIENCE_S = 60.0  # for looking for a shorter story

pytestmark = pytest.mark.timeout(0 if STORIES > 1000 else 300)


SOURCE = AddNode(type="signal", id="a", config={"channels": 2})
WENT_WRONG: dict[str, list[Step]] = {
    "nothing is left of what feeds a node that goes at once, though it was fading in": [
        Transaction(
            (SOURCE, AddNode(type="gain", id="b"), AddNode(type="ear", id="c"), Connect(source="b.out", target="c.in"))
        ),
        Transaction((Connect(source="a.out", target="b.in"),), fade_ms=30.0),
        Transaction((RemoveNode(id="a"), RemoveNode(id="b")), fade_ms=0.0),
        Listen(),
    ],
    "what is heard directly and around a bypassed node is heard twice": [
        Transaction(
            (
                SOURCE,
                AddNode(type="gain", id="b", bypass=True),
                AddNode(type="ear", id="c"),
                Connect(source="a.out", target="b.in"),
                Connect(source="a.out", target="c.in"),
                Connect(source="b.out", target="c.in"),
            )
        ),
        Listen(),
        Transaction((Disconnect(source="a.out", target="c.in"),)),
        Listen(),
    ],
    "what fades out when another object takes the place of its target is heard if it comes back at that moment": [
        Transaction(
            (
                SOURCE,
                AddNode(type="equalizer", id="b"),
                AddNode(type="ear", id="c", config={"channels": 2}),
                Connect(source="a.out", target="b.in"),
                Connect(source="b.out", target="c.in"),
            ),
            fade_ms=0.0,
        ),
        Transaction((Disconnect(source="a.out", target="b.in"),)),
        GoOn(1),
        Transaction(
            (
                ConfigureNode(id="b", config={"bands": [{}]}),
                Connect(source="a.out", target="b.in"),
            )
        ),
        Listen(),
    ],
    "a node that feeds itself may be bridged in the same transaction": [
        Transaction(
            (
                SOURCE,
                AddNode(type="mixer", id="b"),
                AddNode(type="ear", id="c"),
                Connect(source="a.out", target="b.in_1"),
                Connect(source="b.out", target="b.in_2"),
                Connect(source="b.out", target="c.in"),
                RemoveNode(id="b", strategy="bridge"),
                AddNode(type="compressor", id="d"),
                Connect(source="d.gain_reduction_db", target="d.in"),
                Connect(source="d.out", target="c.in"),
                RemoveNode(id="d", strategy="bridge"),
            )
        ),
        Listen(),
        Undo(),
    ],
}


@pytest.mark.parametrize("story", WENT_WRONG)
def test_what_once_went_wrong(story: str) -> None:
    assert failure(WENT_WRONG[story]) is None


@pytest.mark.parametrize("share", range(SHARES))
def test_what_is_edited_is_as_it_should_be(share: int) -> None:
    for seed in range(share, STORIES, SHARES):
        machine = Machine()
        story = Story(machine, random.Random(seed))
        try:
            story.tell(STEPS)
        except Exception as error:
            short = shortened(story.steps, PATIENCE_S)
            told = "\n".join(map(str, short))
            raise AssertionError(
                f"story {seed} goes wrong. The shortest that does:\n{told}\n{failure(short)}"
            ) from error
        finally:
            machine.close()
