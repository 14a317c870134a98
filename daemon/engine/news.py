"""What the audio thread noticed, in words."""

from __future__ import annotations

from collections.abc import Callable

from .core import EngineEvent


def trouble_told_by(event: EngineEvent, node_of: Callable[[int], str]) -> str:
    """A sentence for the log and its readers; empty for what is no trouble. `node_of` knows nodes by their tags."""
    match event.kind:
        case "fault":
            node_id = node_of(event.id)
            return f"{node_id} gave out NaN or infinity: muted and reset, {event.value:.0f} blocks so far"
        case "gap":
            return f"The audio thread was held up: {event.value:.0f} frames of time passed unplayed"
        case "stepped_down":
            return "The audio thread hogged its core and gave up its real-time priority until the next start"
    return ""
