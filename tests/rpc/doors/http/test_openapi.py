"""/openapi.json describes every route, and what it describes is what happens: schemathesis tries all of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tonnetz.rpc.doors.http.openapi import openapi_document
from tonnetz.rpc.method_table import load_methods

from ...conftest import CONFIGURATION
from .conftest import Web, running

DOCUMENT = openapi_document()
OPERATIONS = [
    (f"{verb.upper()} {path}", operation)
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
]
SCHEMATHESIS, TONNETZ = (Path(sys.executable).with_name(name) for name in ("schemathesis", "tonnetz"))


def test_it_is_openapi() -> None:
    assert DOCUMENT["openapi"] == "3.1.0" and json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert set(DOCUMENT["info"]) >= {"title", "version", "license"}
    ids = [operation["operationId"] for _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)


def test_every_route_of_the_table_is_described() -> None:
    declared = {method.http.usage for method in load_methods().values() if method.http}
    assert declared <= {usage for usage, _ in OPERATIONS}


def test_no_reference_leads_nowhere() -> None:
    for reference in re.findall(r'"\$ref": "([^"]+)"', json.dumps(DOCUMENT)):
        part: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]


@pytest.mark.parametrize(("usage", "operation"), OPERATIONS, ids=[usage for usage, _ in OPERATIONS])
def test_operations_are_whole(usage: str, operation: dict[str, Any]) -> None:
    named = set(re.findall(r"\{(\w+)\}", usage))
    in_path = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
    assert in_path == named
    for parameter in operation.get("parameters", ()):
        jsonschema.Draft202012Validator.check_schema(parameter["schema"])
        assert parameter["required"] is True or parameter["in"] != "path"
    for content in operation.get("requestBody", {}).get("content", {}).values():
        jsonschema.Draft202012Validator.check_schema(content["schema"])
    assert {"401", "429"} <= set(operation["responses"]) and operation["summary"]
    assert {"200", "204"} & set(operation["responses"])


@pytest.mark.parametrize(("usage", "operation"), OPERATIONS, ids=[usage for usage, _ in OPERATIONS])
def test_what_stands_in_an_address_can_be_written_there(usage: str, operation: dict[str, Any]) -> None:
    """No null and no object, however deep within a choice; a list is a word given several times."""
    for parameter in operation.get("parameters", ()):
        kinds = {kind.get("type") for kind in plain_kinds(parameter["schema"])}
        assert kinds and not kinds & {"null", "object"}, parameter["name"]


def plain_kinds(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in schema.get("anyOf", [schema]):
        yield from plain_kinds(kind) if "anyOf" in kind else [kind]


def test_who_needs_a_token_is_told_so() -> None:
    assert DOCUMENT["security"] == [{}, {"token": []}]
    asking = openapi_document(token_required=True)
    assert asking["security"] == [{"token": []}] and asking["paths"] == DOCUMENT["paths"]
    public = {usage for usage, operation in OPERATIONS if operation.get("security") == []}
    assert public == {"GET /healthz", "GET /openapi.json"}


# Where a check of schemathesis is off, and why. All others are on, for all operations: no answer of the 500s, no status,
# type, header or body that is not described; what does not fit the schema is refused, and what does is taken; nobody
# gets in without the token; no verb but those described; what was deleted is gone.
SETTINGS = """
# 404, 409, 422: what fits the schema need not fit the graph as it is. 503, 504: nor the machine, which has no card.
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "404", "409", "422", "503", "504"]

# Exactly one of three parameters is wanted, which null leaves out; and what is wrong within it is the answer itself, as
# 200: that is what it is asked for.
[[operations]]
include-path = "/api/graph/validate"
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.enabled = false

# Edits are declared as any objects, so that all that is wrong with all of them is told, and not only where the first of
# them leaves its schema (`Edit`). `at` is a text that is a date.
[[operations]]
include-path = "/api/graph/transactions"
checks.positive_data_acceptance.enabled = false

# Which of its parameters a signal needs depends on the signal.
[[operations]]
include-path = "/api/debug/inject/{node}"
checks.positive_data_acceptance.enabled = false

# The name of a device is a text that can be printed, which is more than a pattern can say.
[[operations]]
include-path = "/api/devices/probe"
checks.positive_data_acceptance.enabled = false

[[operations]]
include-path = "/api/devices/mixer"
checks.positive_data_acceptance.enabled = false
"""
# Names are guessed, and seldom those of something that is there: every second time they are. Copies of copies would make
# the graph ten thousand nodes large, and what waits for a card or a file holds up every step.
HOOKS = """
import itertools

import schemathesis

turns = itertools.count()

@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta.generation.mode.is_positive and case.method != "DELETE" and next(turns) % 2:
        for name in case.path_parameters or ():
            if name in ("id", "node") and not case.path.startswith("/api/schedule"):
                case.path_parameters[name] = "hum.out:eq.in" if "buffers" in case.path else "eq"
            elif name == "type":
                case.path_parameters[name] = "gain"
    body = case.body
    if not isinstance(body, dict):
        return
    if case.path.endswith(("/clone", "/insert", "/load")):
        body["dry_run"] = True
    if isinstance(body.get("blocks"), int):
        body["blocks"] = min(body["blocks"], 8)
    if str(body.get("type")).startswith(("alsa", "file")):
        body["type"] = "gain"
"""


@pytest.fixture
def asking() -> Iterator[Web]:
    """A daemon that asks everybody for a token."""
    yield from running(CONFIGURATION.replace("http: false", 'http: {listen: "127.0.0.1:0", require_token: true}'))


@pytest.mark.slow
def test_schemathesis_finds_nothing(asking: Web) -> None:
    """All operations, by an admin, with what fits the schemas and what doesn't, one by one and one after the other. The
    same requests every time."""
    folder = asking.daemon.folder
    (folder / "schemathesis.toml").write_text(SETTINGS)
    (folder / "hooks.py").write_text(HOOKS)
    options = ["--suppress-health-check=all", "--no-color", "--seed=1", "-H", f"Authorization: Bearer {admin(asking)}"]
    bounds = ["--phases=coverage,fuzzing,stateful", "--max-examples=8", "--request-timeout=60"]
    done = subprocess.run(
        [SCHEMATHESIS, "run", f"{asking.base}/openapi.json", "--url", asking.base, *options, *bounds],
        env=os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=280,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    tested = re.search(r"Tested: (\d+)", done.stdout)
    assert tested is not None and int(tested[1]) == len(OPERATIONS) - 1, "all but the one that gives the description"


def admin(web: Web) -> str:
    """A token that may do everything."""
    config = str(web.daemon.folder / "tonnetz.yaml")
    command = [TONNETZ, "--json", "token", "add", "tester", "--role", "admin", "--config", config]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(json.loads(made.stdout)["token"])
