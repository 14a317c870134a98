"""Answers the calls that come over one connection: methods of the table, and what every D-Bus object understands.

Calls of one sender are answered in order, and senders do not wait for each other. The bus tells who a sender is, so
nothing that it says of itself is believed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.graph.wording import shortened
from tonnetz.daemon.problems import Problem, Refusal, refuse, suggestion

from ...method_table import Call, Method
from ..peer import caller_with
from .clients import Client
from .connection import Connection, Message, MessageFlag, MessageType, NotConnected
from .interfaces import (
    INTROSPECTABLE,
    NODE,
    OBJECT_MANAGER,
    PEER,
    PROPERTIES,
    Interface,
    Member,
    camel,
    introspection,
)
from .objects import NODES, BusError, Objects
from .values import from_bus, signature, to_bus

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

log = logging.getLogger(__name__)

ORIGIN = "dbus"
ERROR = "org.tonnetz.Error"
CALLS_WAITING = 1000  # of one sender; the bus itself allows fewer unless it is told otherwise
FAREWELL_S = 2.0  # at the end: time for calls under way
MANY_NODES = 200  # objects from which on an answer is marshalled beside the loop; 20 ms worth


class Answer(NamedTuple):
    signature: str = ""
    body: Sequence[Any] = ()
    large: bool = False


class Service:
    """Answers on a connection until it is closed. `group` (a gid) are the operators."""

    def __init__(self, session: Session, objects: Objects, connection: Connection, group: int | None) -> None:
        self._session = session
        self._objects = objects
        self._connection = connection
        self._group = group
        self._clients: dict[str, Client] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._standard = {
            (INTROSPECTABLE, "Introspect"): self._introspect,
            (PEER, "Ping"): self._ping,
            (PEER, "GetMachineId"): self._machine_id,
            (PROPERTIES, "Get"): self._get,
            (PROPERTIES, "Set"): self._set,
            (PROPERTIES, "GetAll"): self._get_all,
            (OBJECT_MANAGER, "GetManagedObjects"): self._managed_objects,
        }

    def take(self, message: Message) -> None:
        """A call has come; it is answered after those that its sender made before."""
        client = self._clients.get(message.sender)
        if client is None:
            client = self._clients[message.sender] = Client(self._session, self._connection, message.sender)
        if len(client.calls) >= CALLS_WAITING:
            error = BusError("LimitsExceeded", f"{CALLS_WAITING} calls of yours wait to be answered; wait for some.")
            self._connection.send(error_message(message, error.name, str(error)))
            return
        client.calls.append(message)
        if not client.busy:
            client.busy = True
            task = asyncio.create_task(self._serve(client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def vanished(self, name: str) -> None:
        """A sender has left the bus. What it asked for before is still done."""
        client = self._clients.pop(name, None)
        if client is not None:
            client.gone = True
            if not client.busy:
                client.leave()

    async def close(self) -> None:
        """Let calls under way finish, for a bounded time. Then nobody is there any more."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=FAREWELL_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for name in list(self._clients):
            self.vanished(name)

    async def _serve(self, client: Client) -> None:
        try:
            while client.calls:
                await self._reply_to(client.calls.popleft(), client)
        finally:
            client.busy = False
            if client.gone:
                client.leave()

    async def _reply_to(self, message: Message, client: Client) -> None:
        large = False
        try:
            answer = await self._answer(message, client)
            reply = Message.new_method_return(message, answer.signature, list(answer.body))
            large = answer.large
        except BusError as error:
            reply = error_message(message, error.name, str(error))
        except Refusal as refusal:
            reply = error_message(message, f"{ERROR}.{camel(refusal.name)}", told(refusal))
        except Exception:
            log.exception("%s.%s failed, called by %s", message.interface, message.member, message.sender)
            reply = error_message(message, f"{ERROR}.InternalError", "Internal error")
        if message.flags & MessageFlag.NO_REPLY_EXPECTED:
            return
        if large:
            await self._connection.send_large(reply)
        else:
            self._connection.send(reply)

    async def _answer(self, message: Message, client: Client) -> Answer:
        if message.refused:
            raise BusError("LimitsExceeded", message.refused)
        interface, member = self._called(message)
        method = interface.methods.get(member.name)
        if method is not None:
            call = Call(self._session, await self._caller(client), client)
            result = await method.run(call, params_of(method, member, message))
            kind = signature(method.result)
            return Answer(kind, [to_bus(method.result, result)] if kind else [])
        if message.signature != member.signature:
            wanted = f"{interface.name}.{member.name} takes ({member.signature}), not ({message.signature})."
            raise BusError("InvalidArgs", wanted)
        return await self._standard[interface.name, member.name](message, client)

    def _called(self, message: Message) -> tuple[Interface, Member]:
        """What a message calls; without an interface it is the first that has such a member."""
        interfaces = self._objects.at(message.path)
        if message.interface is None:
            found = [one for one in interfaces.values() if message.member in one.members]
            if not found:
                raise BusError("UnknownMethod", f"{message.path} has no method {message.member}.")
            return found[0], found[0].members[message.member]
        interface = interfaces.get(message.interface)
        if interface is None:
            hint = suggestion(message.interface, interfaces)
            raise BusError("UnknownInterface", f"{message.path} has no interface {message.interface}.{hint}")
        member = interface.members.get(message.member)
        if member is None:
            hint = suggestion(message.member, interface.members)
            raise BusError("UnknownMethod", f"{interface.name} has no method {message.member}.{hint}")
        return interface, member

    async def _caller(self, client: Client) -> Caller:
        if client.caller is None:
            try:
                (credentials,) = await self._connection.call_bus("GetConnectionCredentials", "s", client.name)
                uid = credentials["UnixUserID"].value
            except (NotConnected, KeyError) as error:
                raise BusError("AccessDenied", f"The bus does not tell who {client.name} is: {error}.") from None
            groups = credentials.get("UnixGroupIDs")
            client.caller = caller_with(uid, groups.value if groups else (), self._group, ORIGIN)
        return client.caller

    # ---- What every object understands -------------------------------------------------------------------------------

    async def _introspect(self, message: Message, _: Client) -> Answer:
        objects = self._objects
        return Answer("s", [introspection(objects.at(message.path).values(), objects.below(message.path))])

    async def _ping(self, _message: Message, _: Client) -> Answer:
        return Answer()

    async def _machine_id(self, _message: Message, _: Client) -> Answer:
        return Answer("s", [machine_id()])

    async def _get(self, message: Message, _: Client) -> Answer:
        interface, name = message.body
        values = self._values(message.path, interface)
        if name not in values:
            raise BusError("UnknownProperty", f"There is no property {shortened(name)}.{suggestion(name, values)}")
        return Answer("v", [values[name]])

    async def _get_all(self, message: Message, _: Client) -> Answer:
        return Answer("a{sv}", [self._values(message.path, message.body[0])])

    async def _set(self, message: Message, client: Client) -> Answer:
        interface, name, value = message.body
        values = self._values(message.path, interface)
        if name not in values:
            raise BusError("UnknownProperty", f"There is no property {shortened(name)}.{suggestion(name, values)}")
        property = self._objects.node[NODE].properties[name]
        if property.setter is None:
            raise BusError("PropertyReadOnly", f"{name} can't be set.")
        plain = from_bus(property.type, value, property.field)
        given = {property.field: plain}
        if property.setter.parameter(property.field) is None:
            if not isinstance(plain, dict):
                raise refuse("invalid_params", [Problem("wrong_type", "This is a dictionary.", property.field)])
            given = plain
        call = Call(self._session, await self._caller(client), client)
        await property.setter.run(call, {"id": self._objects.node_id(message.path), **given})
        return Answer()

    def _values(self, path: str, interface: str) -> dict[str, Any]:
        """The properties of an interface, or of all of them where none is named."""
        there = self._objects.at(path)
        if interface and interface not in there:
            hint = suggestion(interface, there)
            raise BusError("UnknownInterface", f"{path} has no interface {shortened(interface)}.{hint}")
        if interface not in ("", NODE):
            return {}
        return self._objects.properties(self._objects.node_id(path)) or {}

    async def _managed_objects(self, _message: Message, _: Client) -> Answer:
        nodes = list(self._session.graph.nodes)
        found = {}
        for place, node_id in enumerate(nodes, start=1):
            properties = self._objects.properties(node_id)
            if properties is not None:
                found[f"{NODES}/{node_id}"] = {NODE: properties}
            if place % MANY_NODES == 0:
                await asyncio.sleep(0)
        return Answer("a{oa{sa{sv}}}", [found], large=len(nodes) > MANY_NODES)


def machine_id() -> str:
    """As D-Bus wants to know it: the machine, not the daemon."""
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError as error:
        raise BusError("Failed", f"This machine has no id: {error.strerror}.") from None


def params_of(method: Method, member: Member, message: Message) -> dict[str, Any]:
    """The method's params by name, from arguments by position and an optional dictionary of options at the end."""
    required = [parameter for parameter in method.parameters if parameter.required]
    body = list(message.body)
    options: Any = {}
    if len(body) == len(required) + 1 and len(member.arguments) > len(required):
        options = body.pop()
    if len(body) != len(required) or not isinstance(options, dict):
        wanted = f"{member.name} takes ({member.signature}), not ({message.signature})."
        kind = "missing_parameter" if len(body) < len(required) else "too_many_parameters"
        raise refuse("invalid_params", [Problem(kind, wanted)])
    params = {one.name: from_bus(one.type, value, one.name) for one, value in zip(required, body, strict=True)}
    for name, value in options.items():
        if name in params:
            raise refuse("invalid_params", [Problem("alternatives", "It is given by position already.", str(name))])
        parameter = method.parameter(str(name))
        params[str(name)] = from_bus(parameter.type if parameter else str, value, shortened(str(name)))
    return params


def told(refusal: Refusal) -> str:
    """A refusal as one text, all that an error may have for GLib: a line for each further problem."""
    more = [f"{problem.where}: {problem.message}".removeprefix(": ") for problem in refusal.problems[1:]]
    return "\n".join([refusal.message, *more])


def error_message(call: Message, name: str, text: str) -> Message:
    """An error in answer to a call."""
    return Message(
        message_type=MessageType.ERROR,
        reply_serial=call.serial,
        destination=call.sender,
        error_name=name,
        signature="s",
        body=[text.replace("\0", "\ufffd")],
    )
