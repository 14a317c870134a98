"""/openapi.json describes every route, and what it describes is what happens: schemathesis tries all of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import jsonschema
import pytest

from tonnetz.rpc.doors.http.openapi import openapi_document
from tonnetz.rpc.method_table import load_methods

from .conftest import Web

DOCUMENT = openapi_document()
OPERATIONS = [
    (f"{verb.upper()} {path}", operation) for path, verbs in DOCUMENT["paths"].items() for verb, operation in verbs.items()
]
MOST_S = 60  # of the machine's time for schemathesis


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
    assert {"200", "401", "429"} <= set(operation["responses"]) and operation["summary"]


@pytest.mark.slow
def test_schemathesis_finds_nothing(web: Web) -> None:
    """Over all operations, with what fits the schemas and what doesn't. Waits for traces and steps are short here: no block
    comes by itself on the step clock."""
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "run",
        f"{web.base}/openapi.json",
        "--url",
        web.base,
        "--checks=all",
        "--max-examples=6",
        "--seed=1",
        "--suppress-health-check=all",
        "--exclude-checks=ignored_auth",
        "--request-timeout=30",
        "--no-color",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=web.daemon.folder, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    log = web.daemon.log.read_text()
    assert "Traceback" not in log, log[-3000:]
