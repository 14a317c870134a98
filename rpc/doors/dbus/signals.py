"""Events as they are on the bus: signals of the root object."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tonnetz.daemon.event_types import event_type, own_fields

from .connection import Message, Variant
from .interfaces import EVENTS, ROOT, camel
from .values import fields_of, signature, to_bus

if TYPE_CHECKING:
    from tonnetz.daemon.events import Event


def signal_of_event(event: Event) -> Message:
    """The signal of an event."""
    member, own, shared, kinds = _shape(event.name)
    params = {"seq": event.seq, **event.params}
    body = [to_bus(kind, params[name]) for name, kind in own.items()]
    details = {
        name: Variant(signature(kind), to_bus(kind, params[name])) for name, kind in shared.items() if name in params
    }
    return Message.new_signal(ROOT, EVENTS, member, f"{kinds}a{{sv}}", [*body, details])


@cache
def _shape(name: Any) -> tuple[str, dict[str, Any], dict[str, Any], str]:
    kind = event_type(name)
    types = fields_of(kind)
    own = {field: types[field] for field in own_fields(kind)}
    shared = {field: types[field] for field in types if field not in own}
    return camel(name), own, shared, "".join(map(signature, own.values()))
