"""The interfaces on the bus, made from what they stand for: a noun of the method table, the events, a node's view.

`org.tonnetz.Tonnetz1.Graph.AddNode(s type, a{sv} options) → a{sv}`: what must be given is given by position, the rest
by name, and everything is explained where d-feet, busctl and gdbus look for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import msgspec

from tonnetz.daemon.event_names import EVENT_NAMES
from tonnetz.daemon.event_types import event_type, own_fields

from ...method_table import Method, Parameter
from ...methods.graph import NodeView
from .values import fields_of, signature

NAME = "org.tonnetz.Tonnetz1"
ROOT = "/org/tonnetz/Tonnetz1"
EVENTS = f"{NAME}.Events"
NODE = f"{NAME}.Node"
INTROSPECTABLE = "org.freedesktop.DBus.Introspectable"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"
PEER = "org.freedesktop.DBus.Peer"
PROPERTIES = "org.freedesktop.DBus.Properties"

DOC = "org.gtk.GDBus.DocString"  # where documentation stands in introspection, for gdbus-codegen and d-feet
ROLE = f"{NAME}.Role"
EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"
# Of a node: what may change without an event that names it, such as the ports of all that follow a mono source.
UNTOLD = ("ports", "latency", "detail")


class Argument(NamedTuple):
    name: str
    signature: str
    text: str = ""


class Member(NamedTuple):
    """A method or signal as it stands in introspection."""

    name: str
    arguments: tuple[Argument, ...] = ()
    results: tuple[Argument, ...] = ()
    text: str = ""
    role: str = ""

    @property
    def signature(self) -> str:
        return "".join(argument.signature for argument in self.arguments)


class Property(NamedTuple):
    """`field` is its name in the view, `setter` the method that changes it."""

    name: str
    field: str
    type: Any
    setter: Method | None
    text: str


class Interface:
    """One interface: its methods, with the row of the table that each is, its signals and properties."""

    def __init__(
        self,
        name: str,
        text: str = "",
        members: Iterable[tuple[Member, Method | None]] = (),
        signals: Iterable[Member] = (),
        properties: Iterable[Property] = (),
    ) -> None:
        self.name = name
        self.text = text
        rows = list(members)
        self.members = {member.name: member for member, _ in rows}
        self.methods = {member.name: method for member, method in rows if method is not None}
        self.signals = {signal.name: signal for signal in signals}
        self.properties = {property.name: property for property in properties}

    @cached_property
    def xml(self) -> ET.Element:
        element = ET.Element("interface", name=self.name)
        _document(element, self.text)
        for member in self.members.values():
            method = ET.SubElement(element, "method", name=member.name)
            _document(method, member.text)
            _annotate(method, ROLE, member.role)
            _arguments(method, member.arguments, direction="in")
            _arguments(method, member.results, direction="out")
        for member in self.signals.values():
            signal = ET.SubElement(element, "signal", name=member.name)
            _document(signal, member.text)
            _arguments(signal, member.arguments)
        for property in self.properties.values():
            access = "readwrite" if property.setter else "read"
            shown = ET.SubElement(element, "property", name=property.name, type=signature(property.type), access=access)
            _document(shown, property.text)
            emits = "const" if property.field == "id" else "false" if property.field in UNTOLD else "true"
            _annotate(shown, EMITS, emits)
        return element


STANDARD = (
    Interface(INTROSPECTABLE, members=[(Member("Introspect", (), (Argument("xml_data", "s"),)), None)]),
    Interface(PEER, members=[(Member("Ping"), None), (Member("GetMachineId", (), (Argument("id", "s"),)), None)]),
    Interface(
        PROPERTIES,
        members=[
            (Member("Get", (Argument("interface", "s"), Argument("name", "s")), (Argument("value", "v"),)), None),
            (Member("Set", (Argument("interface", "s"), Argument("name", "s"), Argument("value", "v"))), None),
            (Member("GetAll", (Argument("interface", "s"),), (Argument("values", "a{sv}"),)), None),
        ],
        signals=[
            Member(
                "PropertiesChanged",
                (Argument("interface", "s"), Argument("changed", "a{sv}"), Argument("invalidated", "as")),
            )
        ],
    ),
)
MANAGER = Interface(
    OBJECT_MANAGER,
    members=[(Member("GetManagedObjects", (), (Argument("objects", "a{oa{sa{sv}}}"),)), None)],
    signals=[
        Member("InterfacesAdded", (Argument("object", "o"), Argument("interfaces", "a{sa{sv}}"))),
        Member("InterfacesRemoved", (Argument("object", "o"), Argument("interfaces", "as"))),
    ],
)


def root_interfaces(methods: Mapping[str, Method]) -> dict[str, Interface]:
    """What the root object has: the standard ones, one per noun, and the signals of all events."""
    nouns: dict[str, list[tuple[Member, Method | None]]] = {}
    for method in methods.values():
        nouns.setdefault(method.noun, []).append((member_of(method), method))
    nouns.setdefault("events", [])
    signals = [signal_of(name) for name in EVENT_NAMES]
    made = [*STANDARD, MANAGER]
    for noun, members in nouns.items():
        name = f"{NAME}.{camel(noun)}"
        made.append(Interface(name, members=members, signals=signals if name == EVENTS else ()))
    return {interface.name: interface for interface in made}


def node_interfaces(methods: Mapping[str, Method]) -> dict[str, Interface]:
    """What the object of a node has: the standard ones, and its view as properties."""
    setters = {method.sets: method for method in methods.values() if method.sets}
    properties = []
    for field, kind in fields_of(NodeView).items():
        setter = setters.get(field)
        text = setter.text if setter else ""
        properties.append(Property(camel(field), field, kind, setter, text))
    made = [*STANDARD, Interface(NODE, NodeView.__doc__ or "", properties=properties)]
    return {interface.name: interface for interface in made}


def member_of(method: Method) -> Member:
    required = [parameter for parameter in method.parameters if parameter.required]
    optional = [parameter for parameter in method.parameters if not parameter.required]
    arguments = [Argument(one.name, signature(one.type), _explained(one)) for one in required]
    if optional:
        lines = [f"{one.name} ({signature(one.type)}): {_explained(one)}" for one in optional]
        arguments.append(Argument("options", "a{sv}", "\n".join(lines)))
    result = signature(method.result)
    results = (Argument("result", result),) if result else ()
    return Member(camel(method.verb), tuple(arguments), results, method.text, method.role)


def signal_of(name: Any) -> Member:
    """An event as a signal: what it alone tells is by position, who did it and its number are in `details`."""
    kind = event_type(name)
    own = own_fields(kind)
    types = fields_of(kind)
    shared = ", ".join(f"{field} ({signature(types[field])})" for field in kind.__struct_fields__ if field not in own)
    arguments = [Argument(field, signature(types[field])) for field in own]
    return Member(camel(name), (*arguments, Argument("details", "a{sv}", shared)), (), kind.__doc__ or "")


def camel(name: str) -> str:
    """`add_node` as `AddNode`."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def introspection(interfaces: Iterable[Interface], children: Iterable[str]) -> str:
    """The XML of an object: what it has, and what lies below it."""
    node = ET.Element("node")
    node.extend(interface.xml for interface in interfaces)
    for child in children:
        ET.SubElement(node, "node", name=child)
    ET.indent(node)
    return (
        '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n'
        ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n' + ET.tostring(node, encoding="unicode")
    )


def _explained(parameter: Parameter) -> str:
    default = "" if parameter.required else f"; {_spoken(parameter.default)} unless given"
    return f"{parameter.description or parameter.name}{default}"


def _spoken(default: Any) -> str:
    return msgspec.json.encode(default).decode() if default is not None else "nothing"


def _arguments(element: ET.Element, arguments: Iterable[Argument], direction: str = "") -> None:
    for argument in arguments:
        shown = ET.SubElement(element, "arg", name=argument.name, type=argument.signature)
        if direction:
            shown.set("direction", direction)
        _document(shown, argument.text)


def _document(element: ET.Element, text: str) -> None:
    _annotate(element, DOC, text)


def _annotate(element: ET.Element, name: str, value: str) -> None:
    if value:
        ET.SubElement(element, "annotation", name=name, value=value)
