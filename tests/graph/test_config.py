"""Configuration: completed from what is given, refused in words, flattened for the core."""

from __future__ import annotations

import math
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from tonnetz.daemon.graph.config import abridge, complete, flatten, keep_secrets, redact, structure_of
from tonnetz.daemon.graph.findings import MOST
from tonnetz.daemon.graph.schema import json_schema, title
from tonnetz.daemon.graph.spec import ParameterSpec
from tonnetz.daemon.problems import Problem

from .specs import CATALOGUE, cases, node_type, number

TONE, EQUALIZER = CATALOGUE["tone"], CATALOGUE["equalizer"]
MAP, CASTER = CATALOGUE["channel_map"], CATALOGUE["caster"]


def accepted(kind: str, given: Any, base: Any = None) -> dict[str, Any]:
    config, problems = complete(CATALOGUE[kind], given, base)
    assert problems == []
    return config


def only_problem(kind: str, given: Any, base: Any = None) -> Problem:
    _, problems = complete(CATALOGUE[kind], given, base)
    assert len(problems) == 1, problems
    return problems[0]


# ---- What is right -----------------------------------------------------------------------------------------------


def test_nothing_given_is_every_default() -> None:
    assert accepted("tone", {}) == {"wave": "sine", "frequency": 440.0, "level_db": -20.0, "channels": 2, "seed": 1}


def test_records_of_a_default_list_are_complete() -> None:
    bands = accepted("equalizer", {})["bands"]
    assert [band["frequency"] for band in bands] == [100.0, 1000.0, 10000.0]
    assert all(set(band) == {"type", "frequency", "gain_db", "q", "enabled"} for band in bands)


def test_what_is_not_given_stays_as_in_the_base() -> None:
    base = accepted("tone", {"frequency": 50, "wave": "white"})
    assert accepted("tone", {"level_db": -6}, base) == {**base, "level_db": -6.0}


def test_the_base_is_not_written_to() -> None:
    base = accepted("equalizer", {})
    before = msgspec.json.encode(base)
    accepted("equalizer", {"bands": {"0": {"gain_db": 3}}, "gain_db": 1}, base)
    assert msgspec.json.encode(base) == before


def test_integers_become_floats_where_a_float_is_meant_and_the_other_way_round() -> None:
    config = accepted("tone", {"frequency": 100, "channels": 4.0})
    assert type(config["frequency"]) is float
    assert type(config["channels"]) is int


def test_null_is_the_default() -> None:
    assert accepted("tone", {"frequency": None}, accepted("tone", {"frequency": 50}))["frequency"] == 440.0


def test_null_is_a_value_where_the_parameter_is_optional() -> None:
    base = accepted("caster", {"host": "a", "stop_s": 3})
    assert accepted("caster", {"stop_s": None}, base)["stop_s"] is None


def test_a_list_given_replaces_the_list() -> None:
    config = accepted("equalizer", {"bands": [{"frequency": 80}]}, accepted("equalizer", {}))
    assert config["bands"] == [{"type": "peaking", "frequency": 80.0, "gain_db": 0.0, "q": 0.707, "enabled": True}]


@pytest.mark.parametrize("index", ["1", 1])
def test_a_mapping_changes_single_records(index: str | int) -> None:
    base = accepted("equalizer", {})
    bands = accepted("equalizer", {"bands": {index: {"gain_db": 3}}}, base)["bands"]
    assert bands[1] == {**base["bands"][1], "gain_db": 3.0}
    assert bands[0] is base["bands"][0]
    assert len(bands) == 3


def test_a_matrix_takes_null_for_off() -> None:
    config = accepted("channel_map", {"out_channels": 1, "matrix_db": [[-6, None]]})
    assert config["matrix_db"] == [[-6.0, None]]


def test_a_secret_shown_keeps_the_secret_that_is_set() -> None:
    base = accepted("caster", {"host": "a", "password": "hush"})
    assert accepted("caster", {"password": {"secret": True}, "host": "b"}, base)["password"] == "hush"
    assert accepted("caster", {"password": {"secret": True}, "host": "b"})["password"] == ""


# ---- What is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("wrong_configs.yaml"))
def test_what_is_wrong_is_said(case: dict[str, Any]) -> None:
    found = [p for p in complete(CATALOGUE[case["type"]], case["config"])[1] if p.where == case["where"]]
    assert [p.kind for p in found] == [case["kind"]]
    assert case["says"] in found[0].message
    msgspec.json.encode(found[0])  # it can be told at every door


def test_too_much() -> None:
    assert "not a number of more than 18 digits." in only_problem("tone", {"frequency": 10**400}).message
    assert only_problem("equalizer", {"bands": [{}] * 33}).message == "bands takes 1 to 32 records, not 33."
    assert len(complete(TONE, dict.fromkeys(range(100_000), 1))[1]) == MOST


def test_all_problems_are_found() -> None:
    given = {"frequency": "x", "wave": 3, "chanels": 1, "level_db": 99}
    config, problems = complete(TONE, given)
    assert [p.where for p in problems] == ["config.frequency", "config.wave", "config.chanels", "config.level_db"]
    assert config == accepted("tone", {})


def test_where_starts_as_asked() -> None:
    _, problems = complete(EQUALIZER, {"bands": [{"q": "x"}]}, None, "edits[3].config")
    assert [p.where for p in problems] == ["edits[3].config.bands[0].q"]


def test_out_of_range_tells_programs_the_range() -> None:
    assert only_problem("tone", {"frequency": 0}).data == {"minimum": 0.1, "maximum": 24000, "unit": "Hz"}


def test_a_matrix_must_fit_new_counts_even_if_it_is_not_given_again() -> None:
    base = accepted("channel_map", {"matrix_db": [[0, None], [None, 0]]})
    problem = only_problem("channel_map", {"in_channels": 4}, base)
    assert problem.where == "config.matrix_db[0]"
    assert accepted("channel_map", {"in_channels": 4, "matrix_db": None}, base)["matrix_db"] is None


def test_a_wrong_count_is_not_blamed_on_the_matrix() -> None:
    assert only_problem("channel_map", {"in_channels": 99, "matrix_db": [[0], [0]]}).where == "config.in_channels"


def test_a_secret_is_not_repeated_in_a_message() -> None:
    assert "1234" not in only_problem("caster", {"host": "a", "password": 1234}).message


def test_megabytes_come_back_as_a_line() -> None:
    huge = "x" * 10_000_000
    for given in ({huge: 1}, {"wave": huge}, {"frequency": huge}):
        problem = only_problem("tone", given)
        assert len(problem.message) < 400
        assert len(problem.where) < 100


def test_ten_thousand_levels_are_no_problem_of_ours() -> None:
    deep: Any = 1
    for _ in range(10_000):
        deep = [deep]
    assert only_problem("tone", {"frequency": deep}).kind == "wrong_type"


def test_an_integer_no_float_can_hold() -> None:
    unbounded = ParameterSpec(name="much", kind="float", help="No bounds.", default=0.0)
    _, problems = complete(node_type("vast", "source", [unbounded]), {"much": 10**400})
    assert [p.kind for p in problems] == ["out_of_range"]


# ---- Used --------------------------------------------------------------------------------------------------------


def test_flatten_follows_the_declaration() -> None:
    config = accepted("tone", {"wave": "white", "frequency": 50, "channels": 4, "seed": 9})
    assert flatten(TONE, config) == ([2.0, 50.0, -20.0, 4.0, 9.0], 0)


def test_flatten_counts_records() -> None:
    config = accepted("equalizer", {"bands": [{"type": "high_shelf", "q": 1}, {"enabled": False}], "gain_db": -3})
    assert flatten(EQUALIZER, config) == ([2, 1000, 0, 1, 1, 0, 1000, 0, 0.707, 0, -3], 2)


def test_flatten_leaves_out_what_the_core_does_not_take() -> None:
    assert flatten(CASTER, accepted("caster", {"host": "a"})) == ([2.0], 0)


def test_flatten_writes_off_as_minus_infinity_and_no_matrix_as_nan() -> None:
    config = accepted("channel_map", {"in_channels": 2, "out_channels": 1, "matrix_db": [[-6, None]]})
    assert flatten(MAP, config) == ([2.0, 1.0, -6.0, -math.inf], 0)
    values, _ = flatten(MAP, accepted("channel_map", {"in_channels": 3, "out_channels": 2}))
    assert values[:2] == [3.0, 2.0]
    assert len(values) == 8
    assert all(math.isnan(value) for value in values[2:])


@pytest.mark.parametrize(
    ("kind", "given", "changed"),
    [
        ("tone", {"frequency": 50}, False),
        ("tone", {"seed": 2}, True),
        ("tone", {"seed": 1}, False),
        ("equalizer", {"bands": {"0": {"gain_db": 3}}}, False),
        ("equalizer", {"bands": [{}]}, True),
        ("equalizer", {"bands": {"0": {"type": "low_shelf"}}}, False),
        ("channel_map", {"matrix_db": [[0, 0], [0, 0]]}, False),
        ("channel_map", {"out_channels": 3}, True),
    ],
)
def test_what_a_node_object_is_built_on(kind: str, given: Any, changed: bool) -> None:
    old = accepted(kind, {})
    spec, new = CATALOGUE[kind], accepted(kind, given, old)
    assert (structure_of(spec, new) != structure_of(spec, old)) is changed


def test_redact_shows_no_secret_but_whether_there_is_one() -> None:
    assert redact(CASTER, accepted("caster", {"host": "a", "password": "hush"}))["password"] == {"secret": True}
    assert redact(CASTER, accepted("caster", {"host": "a"}))["password"] == ""


def test_a_credential_is_shown_by_its_name() -> None:
    named = {"credential": "icecast"}
    config = accepted("caster", {"host": "a", "password": named})
    assert config["password"] == redact(CASTER, config)["password"] == named
    assert abridge(CASTER, config)["password"] == named
    jsonschema.validate(config, json_schema(CASTER), cls=jsonschema.Draft202012Validator)
    for other in ({"credential": "a/b"}, {"credential": "a\n"}, {"credential": 5}, {"credential": "a", "b": 1}, ["a"]):
        _, (problem,) = complete(CASTER, {"host": "a", "password": other})
        assert problem.message.startswith('password must be a text, or {"credential": NAME}, not'), problem
    assert not complete(CASTER, {"host": "a", "password": "{}"})[1]


def test_redact_reaches_into_records() -> None:
    secret = ParameterSpec(name="key", kind="text", help="A key.", default="", secret=True)
    places = ParameterSpec(
        name="places", kind="list", help="Places.", fields=(secret, number("port", 1, 1, 9)), count_maximum=4
    )
    spec = node_type("many", "sink", [places])
    config, problems = complete(spec, {"places": [{"key": "hush"}, {}]})
    assert problems == []
    shown = redact(spec, config)
    assert shown["places"] == [{"key": {"secret": True}, "port": 1.0}, {"key": "", "port": 1.0}]
    kept, problems = complete(spec, {"places": {"0": {"key": {"secret": True}, "port": 2}}}, config)
    assert problems == []
    assert kept["places"][0] == {"key": "hush", "port": 2.0}


def test_keep_secrets_fills_in_what_was_redacted() -> None:
    held = accepted("caster", {"host": "a", "password": "hush"})
    assert keep_secrets(CASTER, {"password": {"secret": True}, "host": "b"}, held) == {"password": "hush", "host": "b"}
    assert keep_secrets(CASTER, {"password": "new"}, held) == {"password": "new"}
    assert keep_secrets(CASTER, 7, held) == 7


def test_abridge_leaves_what_a_person_would_have_written() -> None:
    given = {"bands": [{"frequency": 80.0}, {}], "gain_db": -3.0}
    assert abridge(EQUALIZER, accepted("equalizer", given)) == given
    assert abridge(EQUALIZER, accepted("equalizer", {})) == {}


# ---- Described ---------------------------------------------------------------------------------------------------


def test_schema_says_what_a_form_needs() -> None:
    schema = json_schema(TONE)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["frequency"] == {
        "title": "Frequency",
        "description": "The frequency.",
        "type": "number",
        "minimum": 0.1,
        "maximum": 24000,
        "default": 440.0,
        "x-unit": "Hz",
        "x-scale": "logarithmic",
        "x-live": True,
    }
    assert schema["properties"]["level_db"]["x-step"] == 0.5
    assert schema["properties"]["wave"]["enum"] == ["sine", "square", "white"]
    assert schema["properties"]["channels"]["x-live"] is False


def test_schema_of_lists_matrices_secrets_and_what_is_needed() -> None:
    bands = json_schema(EQUALIZER)["properties"]["bands"]
    assert (bands["minItems"], bands["maxItems"]) == (1, 32)
    assert bands["items"]["properties"]["q"]["maximum"] == 40
    matrix = json_schema(MAP)["properties"]["matrix_db"]
    assert matrix["items"]["items"] == {"type": ["number", "null"], "minimum": -120, "maximum": 12}
    caster = json_schema(CASTER)
    assert caster["required"] == ["host"]
    assert caster["properties"]["password"]["writeOnly"] is True
    assert caster["properties"]["stop_s"]["type"] == ["number", "null"]
    assert caster["properties"]["codec"]["enum"] == ["mp3", "opus", None]


def test_titles_leave_the_unit_to_the_unit() -> None:
    assert title("attack_ms", "ms") == "Attack"
    assert title("level_db", "dBFS") == "Level"
    assert title("pan_law_db", "dB") == "Pan law"
    assert title("mute") == "Mute"


@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_every_schema_is_one_and_accepts_the_defaults(kind: str) -> None:
    schema = json_schema(CATALOGUE[kind])
    jsonschema.Draft202012Validator.check_schema(schema)
    config = accepted(kind, {"host": "a"} if kind == "caster" else {})
    jsonschema.validate(config, schema, cls=jsonschema.Draft202012Validator)
    jsonschema.validate(redact(CATALOGUE[kind], config), schema, cls=jsonschema.Draft202012Validator)


# ---- Anything at all ---------------------------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
plain = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@st.composite
def configs(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A type and a configuration for it that may well be wrong."""
    kind = draw(st.sampled_from(sorted(CATALOGUE)))
    spec = CATALOGUE[kind]
    names = st.sampled_from([parameter.name for parameter in spec.parameters] or ["none"]) | st.text(max_size=8)

    def value(parameter: ParameterSpec | None) -> st.SearchStrategy[Any]:
        if parameter is None:
            return plain
        if parameter.kind in ("float", "int"):
            return st.floats(parameter.minimum, parameter.maximum) | st.integers(-2, 70) | plain
        if parameter.kind == "choice":
            return st.sampled_from(parameter.choices) | plain
        if parameter.kind == "matrix":
            return st.lists(st.lists(st.none() | st.floats(-120, 12), max_size=3), max_size=3) | plain
        if parameter.kind == "list":
            record = st.fixed_dictionaries({}, optional={field.name: value(field) for field in parameter.fields})
            return st.lists(record, max_size=4) | st.dictionaries(st.sampled_from("0123"), record, max_size=2) | plain
        return plain

    given = {name: draw(value(spec.parameter(name))) for name in draw(st.lists(names, max_size=4))}
    return kind, given


@forall(configs())
def test_whatever_is_accepted_is_complete_plain_and_in_range(case: tuple[str, dict[str, Any]]) -> None:
    kind, given = case
    spec = CATALOGUE[kind]
    config, problems = complete(spec, given)
    assert all(problem.message and problem.where.startswith("config") for problem in problems)
    msgspec.json.encode(problems)
    if problems:
        return
    jsonschema.validate(config, json_schema(spec), cls=jsonschema.Draft202012Validator)
    assert msgspec.json.decode(msgspec.json.encode(config)) == config
    assert complete(spec, config) == (config, [])  # complete already
    assert complete(spec, abridge(spec, config)) == (config, [])
    assert complete(spec, {}, config) == (config, [])
    values, _ = flatten(spec, config)
    assert all(type(value) is float for value in values)


@forall(configs())
def test_whatever_a_schema_accepts_is_accepted(case: tuple[str, dict[str, Any]]) -> None:
    kind, given = case
    spec = CATALOGUE[kind]
    if not jsonschema.Draft202012Validator(json_schema(spec)).is_valid(given):
        return
    _, problems = complete(spec, given)
    beyond_schema = ("rows", "columns", "NUL", "surrogate", "NaN", "Infinity")  # what JSON Schema has no words for
    assert all(any(word in problem.message for word in beyond_schema) for problem in problems)
