"""rpc/method_table.py: what a declaration must say, and what becomes of params."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

import msgspec
import pytest
from msgspec import Meta

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.session import Session
from tonnetz.rpc.method_table import Call, Method, MethodTable, Shell, load_methods, unbounded_float
from tonnetz.rpc.route import Route

Gain = Annotated[float, Meta(ge=-120, le=24, description="gain in dB")]


class Point(msgspec.Struct):
    x: float
    y: Annotated[float, Meta(ge=0, le=1)]


def entered(function: Callable[..., Any], name: str = "test.method", shell: Shell | None = None) -> Method:
    table = MethodTable()
    table.method(name, role="operator", mutates=True, shell=shell)(function)
    return table[name]


async def adjust(
    call: Call,
    node: str,
    gain_db: Gain,
    mode: Literal["fast", "slow"] = "fast",
    tags: list[str] = [],  # noqa: B006 (msgspec makes a new one for every call)
) -> None:
    """Adjust a gain.

    More about it.
    """


@pytest.fixture
def method() -> Method:
    return entered(adjust)


def problems(method: Method, params: Any) -> dict[str, str]:
    """What is wrong with the params, as place -> kind."""
    with pytest.raises(Refusal) as refused:
        method.bind(params)
    assert refused.value.name == "invalid_params"
    return {problem.where: problem.kind for problem in refused.value.problems}


# ---- Declaring -------------------------------------------------------------------------------------------------------


def test_a_method_knows_what_doors_need(method: Method) -> None:
    assert (method.noun, method.verb, method.role, method.mutates) == ("test", "method", "operator", True)
    assert method.summary == "Adjust a gain." and method.text == "Adjust a gain.\n\nMore about it."
    assert [(p.name, p.required) for p in method.parameters] == [
        ("node", True),
        ("gain_db", True),
        ("mode", False),
        ("tags", False),
    ]
    assert method.parameters[1].description == "gain in dB"


def test_a_docstring_is_needed() -> None:
    async def silent(call: Call) -> None: ...

    with pytest.raises(TypeError, match=r"test\.method: it needs a docstring"):
        entered(silent)


def test_types_are_needed() -> None:
    async def untyped(call: Call, value) -> None:  # type: ignore[no-untyped-def]
        """Do."""

    async def resultless(call: Call):  # type: ignore[no-untyped-def]
        """Do."""

    with pytest.raises(TypeError, match="parameter value has no type"):
        entered(untyped)
    with pytest.raises(TypeError, match="its result has no type"):
        entered(resultless)


def test_the_call_comes_first() -> None:
    async def without(value: int) -> None:
        """Do."""

    with pytest.raises(TypeError, match="its first argument is `call: Call`"):
        entered(without)


def test_open_argument_lists_are_no_declaration() -> None:
    async def anything(call: Call, **params: int) -> None:
        """Do."""

    with pytest.raises(TypeError, match="cannot be described"):
        entered(anything)


@pytest.mark.parametrize("name", ["noun", "Noun.verb", "noun.verb.more", "noun.", "noun._verb"])
def test_names_are_noun_and_verb(name: str) -> None:
    with pytest.raises(TypeError, match=r"noun\.verb"):
        entered(adjust, name)


def test_a_name_is_taken_once() -> None:
    table = MethodTable()
    table.method("a.b", role="viewer")(adjust)
    with pytest.raises(TypeError, match="declared twice"):
        table.method("a.b", role="viewer")(adjust)


def test_shell_usage_names_parameters() -> None:
    entered(adjust, shell=Shell("adjust <node> [<gain_db>] [<tags:words>...]", example=""))
    with pytest.raises(TypeError, match="names no parameter of it: nod"):
        entered(adjust, shell=Shell("adjust <nod>", example=""))


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (float, ""),
        (float | None, ""),
        (Annotated[float, Meta(ge=0)], ""),  # infinity would pass
        (Annotated[float, Meta(description="no bounds")], ""),
        (list[float], "[]"),
        (dict[str, float | None], "[]"),
        (Point, ".x"),
        (list[Point] | None, "[].x"),
        (Gain, None),
        (Gain | None, None),
        (list[Gain], None),
        (Annotated[float, Meta(gt=0, lt=1)], None),
        (int, None),
        (Any, None),
    ],
)
def test_floats_that_would_take_nan_are_found(kind: Any, place: str | None) -> None:
    assert unbounded_float(kind) == place
    if place is None:
        for bad in (math.nan, math.inf, -math.inf) if kind not in (Any, int) else ():
            with pytest.raises(msgspec.ValidationError):
                msgspec.convert([bad] if kind == list[Gain] else bad, kind)


def test_an_unbounded_float_does_not_register() -> None:
    async def loose(call: Call, points: list[Point]) -> None:
        """Do."""

    with pytest.raises(TypeError, match=r"parameter points\[\]\.x is a float without two bounds"):
        entered(loose)


# ---- Binding ---------------------------------------------------------------------------------------------------------


def test_named_and_positional_params_come_to_the_same(method: Method) -> None:
    everything = {"node": "eq", "gain_db": -6.0, "mode": "slow", "tags": []}
    assert method.bind({"node": "eq", "gain_db": -6, "mode": "slow"}) == everything
    assert method.bind(["eq", -6, "slow"]) == everything


def test_defaults_are_fresh_for_every_call(method: Method) -> None:
    first = method.bind(["eq", 0])
    first["tags"].append("x")
    assert method.bind(["eq", 0])["tags"] == []


def test_everything_wrong_is_told_at_once(method: Method) -> None:
    params = {"gain_db": 25, "mode": "quick", "nodes": "eq", "tags": ["a", 1]}
    assert problems(method, params) == {
        "nodes": "unknown_parameter",
        "node": "missing_parameter",
        "gain_db": "invalid_value",
        "mode": "unknown_choice",
        "tags[1]": "wrong_type",
    }


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"gain": 1}, "gain: test.method has no parameter 'gain'. Did you mean 'gain_db'?"),
        ({"node": "a", "gain_db": 99}, "gain_db: Expected float <= 24.0, not 99."),
        ({"node": "a", "gain_db": "loud"}, "gain_db: Expected float, not the text 'loud'."),
        ({"node": "a", "gain_db": True}, "gain_db: Expected float, not true."),
        ({"node": "a", "gain_db": math.nan}, "gain_db: Expected float >= -120.0, not NaN."),
        (
            {"node": "a", "gain_db": 0, "mode": "fst"},
            "mode: 'fst' is no choice here. Did you mean 'fast'? Known: fast, slow.",
        ),
        (
            {"node": "a", "gain_db": 0, "mode": "x" * 9999},
            "mode: '" + "x" * 59 + "…' is no choice here. Known: fast, slow",
        ),
        ({"node": "a"}, "gain_db: test.method needs this parameter."),
        ([1, 2, 3, 4, 5], "test.method takes at most 4 parameters, not 5."),
    ],
)
def test_messages_say_what_is_wrong_and_what_was_expected(method: Method, params: Any, message: str) -> None:
    with pytest.raises(Refusal) as refused:
        method.bind(params)
    assert refused.value.message.startswith(message.removesuffix("."))


def test_a_word_of_the_wrong_form_is_told_by_what_it_should_be() -> None:
    with pytest.raises(Refusal, match=r"source: 'eq' is no port, as node\.port: it has to match \^\[a-z\]"):
        load_methods()["graph.connect"].bind({"source": "eq", "target": "mix.in_1"})


def test_a_flood_of_unknown_names_is_not_answered_with_a_flood(method: Method) -> None:
    assert len(problems(method, {f"name_{number}": 0 for number in range(100_000)})) == 50


def test_long_names_and_values_are_cut(method: Method) -> None:
    for params in ({"x" * 1_000_000: 1}, {"node": "a", "gain_db": "y" * 1_000_000}):
        with pytest.raises(Refusal) as refused:
            method.bind(params)
        assert len(msgspec.json.encode(refused.value.data)) < 2000


# ---- Running ---------------------------------------------------------------------------------------------------------


def call_as(role: Any) -> Call:
    return Call(cast("Session", None), Caller("uid:7", role, "test"))


@pytest.mark.parametrize("role", ["operator", "admin"])
async def test_a_sufficient_role_may(method: Method, role: str) -> None:
    assert await method.run(call_as(role), ["eq", 0]) is None


async def test_a_lesser_role_may_not_and_learns_nothing_of_its_params(method: Method) -> None:
    with pytest.raises(Refusal, match="needs the role operator; uid:7 is viewer here") as refused:
        await method.run(call_as("viewer"), {"wrong": 1})
    assert refused.value.name == "forbidden" and not refused.value.problems


# ---- The real table --------------------------------------------------------------------------------------------------


def test_the_real_methods_are_all_there() -> None:
    table = load_methods()
    assert {
        "graph": {"get", "apply", "add_node", "remove_node", "connect", "disconnect", "configure_node", "replace_node"}
        | {"validate", "export", "import", "rename_node", "move_node", "bypass_node", "rename_graph", "diff", "clone"},
        "templates": {"list", "save", "insert", "delete"},
        "history": {"list", "undo", "redo", "revert"},
        "snapshots": {"list", "save", "load", "delete"},
        "presence": {"set", "list"},
        "schedule": {"list", "cancel"},
        "nodes": {"templates", "schema", "test", "get_state", "set_state"},
        "devices": {"list", "probe", "mixer"},
        "runtime": {"start", "stop", "pause", "step", "status", "performance", "meters"},
        "debug": {"buffer", "inject", "trace"},
        "events": {"subscribe", "unsubscribe"},
        "system": {"describe", "version", "health", "reload"},
        "rpc": {"discover"},
    } == {noun: {m.verb for m in table.values() if m.noun == noun} for noun in {m.noun for m in table.values()}}


def test_every_method_is_within_reach_of_http() -> None:
    """But for those that need a connection that lasts: a WebSocket has them."""
    table = load_methods()
    without = {method.name for method in table.values() if method.http is None}
    assert without == {"events.subscribe", "events.unsubscribe", "presence.set"}
    usages = [method.http.usage for method in table.values() if method.http]
    assert len(set(usages)) == len(usages)


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (Route("get /api/x"), "is no route such as"),
        (Route("GET api"), "is no route such as"),
        (Route("GET /api/{gone}"), "names no parameter of it: gone"),
        (Route("PUT /api/x", whole="gone"), "names no parameter of it: gone"),
        (Route("GET /api/{node}"), "must change nothing"),
    ],
)
def test_routes_that_would_mislead_are_no_declarations(route: Route, why: str) -> None:
    with pytest.raises(TypeError, match=why):

        @MethodTable().method("test.gain", role="operator", mutates=True, http=route)
        async def gain(call: Call, node: str) -> None:
            """Set a gain."""


def test_whatever_mutates_needs_more_than_looking() -> None:
    assert {m.name: m.role for m in load_methods().values() if m.mutates == (m.role == "viewer")} == {}


HEAVY = {"asyncio", "numpy", "aiohttp", "jsonrpcserver", "yaml", "av", "tonnetz._core", "tonnetz.daemon.session"}


def test_declarations_stay_light() -> None:
    """Checked in a fresh interpreter, as this one has loaded everything long ago."""

    program = (
        "import sys; from tonnetz.rpc.method_table import load_methods; load_methods();"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout == "[]\n"
