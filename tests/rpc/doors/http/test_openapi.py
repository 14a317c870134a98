"""/openapi.json describes every route, and what it describes is what happens: schemathesis tries all of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tonnetz.rpc.doors.http.openapi import openapi_document
from tonnetz.rpc.method_table import load_methods

from .conftest import Web

DOCUMENT = openapi_document()
OPERATIONS = [
    (f"{verb.upper()} {path}", operation)
    for path, verbs in DOCUMENT["paths"].items()
    for verb, operation in verbs.items()
]
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


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


# What a schema can't say: that one of two parameters is wanted and not both, what a name of a device may be, which dates
# there are. There a request that fits the schema may be refused as 400.
MORE_THAN_SCHEMAS = ("/api/graph/validate", "/api/graph/transactions", "/api/devices/mixer", "/api/devices/probe")
SETTINGS = """
[checks]
ignored_auth.enabled = false
# 409 and 422: what fits the schema may not fit the graph as it is.
positive_data_acceptance.expected-statuses = ["2xx", "3xx", "403", "404", "409", "422", "503", "504"]
""" + "".join(
    f"""
[[operations]]
include-path = "{path}"
checks.positive_data_acceptance.enabled = false
"""
    for path in MORE_THAN_SCHEMAS
)
# Copies of copies would make the graph ten thousand nodes large, and what waits for a card or a file holds up every step.
HOOKS = """
import schemathesis

@schemathesis.hook
def before_call(context, case, kwargs):
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


@pytest.mark.slow
def test_schemathesis_finds_nothing(web: Web) -> None:
    """All operations, with what fits the schemas and what doesn't. The same requests every time."""
    folder = web.daemon.folder
    (folder / "schemathesis.toml").write_text(SETTINGS)
    (folder / "hooks.py").write_text(HOOKS)
    options = ["--suppress-health-check=all", "--no-color", "--seed=1"]
    bounds = ["--phases=coverage,fuzzing", "--max-examples=4", "--request-timeout=60"]
    done = subprocess.run(
        [SCHEMATHESIS, "run", f"{web.base}/openapi.json", "--url", web.base, *options, *bounds],
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
