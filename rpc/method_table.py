"""The method table: a control method is one typed function, and every door is made from it.

    @method("graph.remove_node", role="operator", mutates=True, shell=Shell("rm <id>", example="tonnetz rm eq"))
    async def remove_node(call: Call, id: NodeId, strategy: Strategy = "fade") -> Receipt:
        \"\"\"Remove a node and its connections.\"\"\"

The first argument says who calls; the others become one msgspec struct, so types, ranges and unknown names are checked
the same way at every door, and JSON-RPC dispatch, OpenRPC, CLI commands and whatever comes later follow from the
declaration. One that would make a poor door (no docstring, no type, a float that would take NaN) does not register.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, get_type_hints

import msgspec
import msgspec.inspect

from tonnetz.daemon.annotations import leaves, metas
from tonnetz.daemon.caller import Caller, Role
from tonnetz.daemon.graph.wording import shortened
from tonnetz.daemon.misfits import misfit
from tonnetz.daemon.problems import Problem, Refusal, refuse, suggestion

from .route import Route

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

Function = TypeVar("Function", bound=Callable[..., Awaitable[Any]])
NAME_PATTERN = re.compile(r"^[a-z]+\.[a-z]+(_[a-z]+)*$")
PROBLEMS = 50  # so many are told; who sends a million unknown names gets no million answers


class Connection(Protocol):
    """A lasting connection, which can be sent events: the socket has one, a single HTTP request has none. When it ends,
    the door calls `Session.presence.leave` with it."""

    def subscribe(self, names: Sequence[str] | None, since: int | None = None) -> int | None:
        """From now on; with `since`, those after that number come first. How many those are; None: not all of them are
        known, and none comes."""
        ...

    def unsubscribe(self) -> None: ...


class Call(msgspec.Struct, frozen=True):
    """One request on its way: what it acts on, who asks, and the connection that events can go to, if there is one."""

    session: Session
    caller: Caller
    connection: Connection | None = None


class Shell(msgspec.Struct, frozen=True):
    """How the method is typed in a shell, with what an example line shows.

    `add <type> [<id>] [<config:words>...]`: `:words` is read from the `key=value` words that end the line, `:file` from
    a file (`-` is standard input), as text or as YAML or JSON as the parameter's type wants. A parameter that the usage
    does not name is an option. The words before the parameters are the command: `devices probe <device>`.
    """

    usage: str
    example: str

    @property
    def command(self) -> str:
        return re.split(r" [<\[]", self.usage)[0]

    @property
    def arguments(self) -> list[tuple[str, str]]:
        """The parameters given by position, each with how it is read: `word`, `words` or `file`."""
        return [(name, way or "word") for name, way in re.findall(r"<(\w+)(?::(words|file))?>", self.usage)]


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of a method; `default` is `msgspec.NODEFAULT` when it must be given."""

    name: str
    type: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is msgspec.NODEFAULT

    @property
    def description(self) -> str:
        return next((meta.description for meta in metas(self.type) if meta.description), "")


class Method(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One row of the table. `sets` is the part of a node (`label`) that it changes, for doors that show nodes as
    objects: its `id` says which, and the new value is the parameter of the same name, or what the others tell of it."""

    name: str
    role: Role
    mutates: bool
    shell: Shell | None
    http: Route | None
    sets: str | None
    function: Callable[..., Awaitable[Any]]
    parameters: tuple[Parameter, ...]
    struct: type[msgspec.Struct]
    result: Any

    @property
    def noun(self) -> str:
        return self.name.partition(".")[0]

    @property
    def verb(self) -> str:
        return self.name.partition(".")[2]

    @cached_property
    def text(self) -> str:
        """The docstring, without the indentation of its source."""
        first, _, rest = (self.function.__doc__ or "").strip().partition("\n")
        return f"{first}\n{re.sub(r'^[ ]{4}', '', rest, flags=re.MULTILINE)}".strip()

    @property
    def summary(self) -> str:
        """The docstring's first line."""
        return self.text.partition("\n")[0]

    def parameter(self, name: str) -> Parameter | None:
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def bind(self, params: Mapping[str, Any] | Sequence[Any] | None) -> dict[str, Any]:
        """The checked arguments of the function, from named or positional params; else an `invalid_params` refusal."""
        if params is None:
            named: dict[str, Any] = {}
        elif isinstance(params, Mapping):
            named = dict(params)
        else:
            if len(params) > len(self.parameters):
                message = f"{self.name} takes at most {len(self.parameters)} parameters, not {len(params)}."
                raise refuse("invalid_params", [Problem("too_many_parameters", message)])
            named = {parameter.name: value for parameter, value in zip(self.parameters, params, strict=False)}
        try:
            struct = msgspec.convert(named, self.struct)
        except (msgspec.ValidationError, RecursionError):
            problems = list(islice(self._problems(named), PROBLEMS))
            raise refuse(
                "invalid_params", problems or [Problem("limit", "The params are nested too deeply.")]
            ) from None
        return {parameter.name: getattr(struct, parameter.name) for parameter in self.parameters}

    async def run(self, call: Call, params: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """Check the caller's role and the params, then do it. Whatever is wrong with either is a `Refusal`."""
        return await self.function(call, **self.check(call, params))

    def check(self, call: Call, params: Mapping[str, Any] | Sequence[Any] | None = None) -> dict[str, Any]:
        """The function's arguments, where the caller may call it with them; else a `Refusal`."""
        if not call.caller.may(self.role):
            who = f"{call.caller.name} is {call.caller.role} here"
            raise Refusal("forbidden", f"{self.name} needs the role {self.role}; {who}.", role=self.role)
        return self.bind(params)

    def _problems(self, named: Mapping[str, Any]) -> Iterator[Problem]:
        """Everything that is wrong with the params, not only the first thing."""
        names = [parameter.name for parameter in self.parameters]
        for name in named:
            if name not in names:
                word = shortened(name)
                hint = suggestion(word, names) or (" It takes none." if not names else "")
                yield Problem("unknown_parameter", f"{self.name} has no parameter '{word}'.{hint}", word)
        for parameter in self.parameters:
            if parameter.name not in named:
                if parameter.required:
                    yield Problem("missing_parameter", f"{self.name} needs this parameter.", parameter.name)
                continue
            yield from misfit(named[parameter.name], parameter.type, parameter.name)


class MethodTable(dict[str, Method]):
    """Methods by name, in the order they were declared."""

    def method(
        self,
        name: str,
        *,
        role: Role,
        mutates: bool = False,
        shell: Shell | None = None,
        http: Route | None = None,
        sets: str | None = None,
    ) -> Callable[[Function], Function]:
        """Enter the decorated function as `name` (`noun.verb`); `role` is the least one that may call it.

        A declaration that is not complete raises TypeError, at import.
        """

        def enter(function: Function) -> Function:
            if name in self:
                raise TypeError(f"{name} is declared twice")
            self[name] = declare(function, name, role, mutates, shell, http, sets)
            return function

        return enter


table = MethodTable()
method = table.method


def load_methods() -> MethodTable:
    """The whole table: every file of `rpc/methods` is imported, once."""
    from . import methods

    for file in sorted(os.listdir(os.path.dirname(methods.__file__ or ""))):
        stem, _, suffix = file.partition(".")
        if suffix == "py" and stem != "__init__":
            importlib.import_module(f"{methods.__name__}.{stem}")
    return table


def declare(
    function: Callable[..., Awaitable[Any]],
    name: str,
    role: Role,
    mutates: bool,
    shell: Shell | None,
    http: Route | None,
    sets: str | None = None,
) -> Method:
    """A method from its function; TypeError where the declaration would make a poor door."""

    def wrong(why: str) -> TypeError:
        return TypeError(f"method {name}: {why}")

    if not NAME_PATTERN.match(name):
        raise wrong("a name is noun.verb in small letters")
    if not (function.__doc__ or "").strip():
        raise wrong("it needs a docstring: help, OpenRPC and the manual are made from it")
    code = function.__code__
    if code.co_flags & 0x0C:  # CO_VARARGS | CO_VARKEYWORDS
        raise wrong("*args and **kwargs cannot be described to a caller")
    hints = get_type_hints(function, include_extras=True)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if not names or hints.get(names[0]) is not Call:
        raise wrong("its first argument is `call: Call`")
    defaults = dict(zip(reversed(names[: code.co_argcount]), reversed(function.__defaults__ or ()), strict=False))
    defaults.update(function.__kwdefaults__ or {})
    parameters = []
    for parameter in names[1:]:
        if parameter not in hints:
            raise wrong(f"parameter {parameter} has no type")
        place = unbounded_float(hints[parameter])
        if place is not None:
            raise wrong(f"parameter {parameter}{place} is a float without two bounds; it would take NaN or infinity")
        parameters.append(Parameter(parameter, hints[parameter], defaults.get(parameter, msgspec.NODEFAULT)))
    if "return" not in hints:
        raise wrong("its result has no type")
    unknown = {name for name, _ in shell.arguments}.difference(names) if shell else ()
    if unknown:
        raise wrong(f"shell usage names no parameter of it: {', '.join(unknown)}")
    if http is not None and (mistake := http.mistake(names[1:], mutates)):
        raise wrong(mistake)
    struct = msgspec.defstruct(
        "".join(part.capitalize() for part in re.split(r"[._]", name)) + "Params",
        [(p.name, p.type) if p.required else (p.name, p.type, p.default) for p in parameters],
        kw_only=True,
        forbid_unknown_fields=True,
    )
    return Method(
        name=name,
        role=role,
        mutates=mutates,
        shell=shell,
        http=http,
        sets=sets,
        function=function,
        parameters=tuple(parameters),
        struct=struct,
        result=hints["return"],
    )


def unbounded_float(kind: Any) -> str | None:
    """Where in a type a float hides that would take NaN or infinity (`[].x`; empty: the type itself), or None."""
    if float not in leaves(kind):  # the quick answer for nearly all; what follows is slow
        return None
    return _unbounded(msgspec.inspect.type_info(kind), "")


def _unbounded(info: msgspec.inspect.Type, place: str) -> str | None:
    found: Iterator[str | None] = iter(())
    if isinstance(info, msgspec.inspect.FloatType):
        low, high = (info.ge, info.gt), (info.le, info.lt)
        return None if any(x is not None for x in low) and any(x is not None for x in high) else place
    if isinstance(info, msgspec.inspect.Metadata):
        return _unbounded(info.type, place)
    if isinstance(info, msgspec.inspect.UnionType):
        found = (_unbounded(inner, place) for inner in info.types)
    elif isinstance(info, msgspec.inspect.ListType | msgspec.inspect.SetType | msgspec.inspect.VarTupleType):
        found = iter([_unbounded(info.item_type, f"{place}[]")])
    elif isinstance(info, msgspec.inspect.DictType):
        found = iter([_unbounded(info.value_type, f"{place}[]")])
    elif isinstance(info, msgspec.inspect.StructType | msgspec.inspect.TypedDictType):
        found = (_unbounded(field.type, f"{place}.{field.encode_name}") for field in info.fields)
    return next((place for place in found if place is not None), None)
