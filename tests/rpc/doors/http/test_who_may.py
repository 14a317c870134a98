"""Who gets in over HTTP, and as what: addresses, tokens, tickets; pages of other sites stay outside."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.settings import HttpSettings, http_address
from tonnetz.daemon.tokens import TokenFile
from tonnetz.rpc.doors.http.answers import Turned
from tonnetz.rpc.doors.http.callers import Callers
from tonnetz.rpc.doors.http.door import token_required
from tonnetz.rpc.doors.http.guard import Guard

from ...conftest import CONFIGURATION
from .conftest import Web, running

TONNETZ = Path(sys.executable).with_name("tonnetz")
NODE = {"type": "gain", "dry_run": True}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Web]:
    """One that asks everybody for a token, and is known as studio.example too."""
    http = 'http: {listen: "127.0.0.1:0", require_token: true, allowed_hosts: [studio.example, "desk.example:8443"]}'
    yield from running(CONFIGURATION.replace("http: false", http))


def token(web: Web, *arguments: str) -> Any:
    config = str(web.daemon.folder / "tonnetz.yaml")
    done = subprocess.run(
        [TONNETZ, "--json", "token", *arguments, "--config", config], capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout) if done.returncode == 0 else json.loads(done.stderr)["error"]


def bearer(secret: str) -> tuple[str, str]:
    return "-H", f"Authorization: Bearer {secret}"


# ---- Tokens ----------------------------------------------------------------------------------------------------------


def test_without_a_token_only_this_machine_is_an_operator(web: Web) -> None:
    about = web.curl("GET", "/api/system").json
    assert (about["caller"], about["role"]) == ("local", "operator")
    _ = token(web, "add", "looker", "--role", "viewer")["token"]
    refused = web.curl("GET", "/api/system", None, *bearer("tnz_00000000_wrong"))
    assert refused.status == 401 and refused.headers["www-authenticate"] == "Bearer"
    assert "Bearer" not in refused.json["error"]["message"]


@pytest.mark.parametrize(("role", "post"), [("viewer", 403), ("operator", 200), ("admin", 200)])
def test_roles(guarded: Web, role: str, post: int) -> None:
    made = token(guarded, "add", f"a-{role}", "--role", role)
    about = guarded.curl("GET", "/api/system", None, *bearer(made["token"])).json
    assert about["role"] == role and about["caller"] == f"token:a-{role}/{made['id']}"
    answer = guarded.curl("POST", "/api/graph/nodes", NODE, *bearer(made["token"]))
    assert answer.status == post
    if post == 403:
        assert answer.json["error"]["name"] == "forbidden" and "operator" in answer.json["error"]["message"]


def test_nobody_else_gets_in(guarded: Web) -> None:
    for path in ("/api/graph", "/metrics", "/api/rpc", "/api/nothing", "/api/listen/hum/out.wav", "/api/ws/graph"):
        refused = guarded.curl("GET", path)
        assert refused.status == 401 and "token" in refused.json["error"]["message"], path
    for path in ("/", "/api", "/assets/pages.css", "/openapi.json", "/healthz"):
        assert guarded.curl("GET", path).status == 200, path
    for secret in ("tnz_00000000_wrong", "\udcff", "tnz_00000000_\udcff"):  # a lone surrogate: a byte that is no UTF-8
        assert guarded.curl("GET", "/api/graph", None, *bearer(secret)).status == 401
    odd = guarded.curl("GET", "/api/graph", None, "-H", "Authorization: Digest x")
    assert odd.status == 401 and "Bearer TOKEN" in odd.json["error"]["message"]


def test_players_may_send_it_as_a_password(guarded: Web) -> None:
    secret = token(guarded, "add", "player")["token"]
    assert guarded.curl("GET", "/api/graph", None, "--user", f"any:{secret}").status == 200
    wrong = base64.b64encode(b"no colon \xff").decode()
    assert guarded.curl("GET", "/api/graph", None, "-H", f"Authorization: Basic {wrong}").status == 401


def test_a_revoked_token_is_void_at_once(guarded: Web) -> None:
    made = token(guarded, "add", "guest")
    assert guarded.curl("GET", "/api/graph", None, *bearer(made["token"])).status == 200
    assert token(guarded, "revoke", "guest")[0]["id"] == made["id"]
    assert guarded.curl("GET", "/api/graph", None, *bearer(made["token"])).status == 401
    assert token(guarded, "revoke", "guest")["data"]["name"] == "not_found"
    assert "guest" not in [one["name"] for one in token(guarded, "list")]


def test_a_ticket_is_good_for_one_connection(guarded: Web) -> None:
    made = token(guarded, "add", "page", "--role", "viewer")
    given = guarded.curl("POST", "/api/tickets", None, *bearer(made["token"])).json
    assert 0 < given["expires_s"] <= 60
    once = guarded.curl("GET", f"/api/system?ticket={given['ticket']}")
    assert once.json["caller"] == f"token:page/{made['id']}" and once.json["role"] == "viewer"
    assert guarded.curl("GET", f"/api/system?ticket={given['ticket']}").status == 401
    assert guarded.curl("POST", "/api/tickets").status == 401
    late = guarded.curl("POST", "/api/tickets", None, *bearer(made["token"])).json["ticket"]
    token(guarded, "revoke", "page")
    assert guarded.curl("GET", f"/api/system?ticket={late}").status == 401


def test_old_tickets_are_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    callers = Callers(TokenFile(tmp_path), required=False)
    caller = callers.find(make_mocked_request("GET", "/"))
    ticket = callers.ticket(caller)
    now += 31
    with pytest.raises(Turned, match="too old"):
        callers.find(make_mocked_request("GET", f"/?ticket={ticket}"))
    for _ in range(1000):
        callers.ticket(caller)
    with pytest.raises(Refusal, match="1000 tickets"):
        callers.ticket(caller)


# ---- Where it listens ------------------------------------------------------------------------------------------------


def test_beyond_this_machine_only_with_tokens(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    outside = HttpSettings(listen="0.0.0.0:8420")
    with pytest.raises(Refusal, match="there is no token yet") as refused:
        token_required(outside, "0.0.0.0", tokens)
    assert refused.value.problems[0].where == "doors.http.listen" and "tonnetz token add" in refused.value.message
    tokens.add("desk", "operator")
    assert token_required(outside, "0.0.0.0", tokens) is True
    open_to_all = HttpSettings(listen="0.0.0.0:8420", require_token=False)
    with pytest.raises(Refusal, match="can't be false there"):
        token_required(open_to_all, "0.0.0.0", tokens)
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert token_required(HttpSettings(), host, tokens) is False
        assert token_required(HttpSettings(require_token=True), host, tokens) is True
    for host in ("127.evil.example", "localhost.example", "::", "10.0.0.1"):
        assert token_required(HttpSettings(), host, tokens) is True


def test_it_does_not_start_where_anybody_could_come(tmp_path: Path) -> None:
    config = tmp_path / "tonnetz.yaml"
    config.write_text('doors: {http: {listen: "0.0.0.0:0"}, dbus: false, socket: false}\nstorage: {directory: state}\n')
    for options in ([], ["--check"]):
        command = [sys.executable, "-m", "tonnetz.daemon.main", "--config", str(config), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and "there is no token yet" in done.stderr


def test_a_port_that_is_taken(web: Web, tmp_path: Path) -> None:
    config = tmp_path / "tonnetz.yaml"
    listen = web.base.removeprefix("http://")
    config.write_text(f'doors: {{http: {{listen: "{listen}"}}, dbus: false, socket: false}}\nstorage: false\n')
    command = [sys.executable, "-m", "tonnetz.daemon.main", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1 and f"can't listen on {web.base}/: Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8420", ("127.0.0.1", 8420)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:80", ("localhost", 80)),
        ("8420", None),
        (":8420", None),
        ("::1:8420", None),
        ("127.0.0.1:65536", None),
        ("127.0.0.1:http", None),
        ("a b:1", None),
    ],
)
def test_addresses(text: str, address: tuple[str, int] | None) -> None:
    if address is None:
        with pytest.raises(Refusal, match="is no address to listen on"):
            http_address(text)
    else:
        assert http_address(text) == address


# ---- Pages of other sites --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", "", "a@localhost", "localhost/x"]
)
def test_it_answers_to_no_other_name(web: Web, host: str) -> None:
    refused = web.curl("GET", "/api/graph", None, "-H", f"Host: {host}" if host else "Host;")
    assert refused.status in (400, 421), refused.body


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1:9", "[::1]:8420", "10.1.2.3", "studio.example", "desk.example:8443"]
)
def test_names_that_it_is_known_by(guarded: Web, host: str) -> None:
    assert guarded.curl("GET", "/healthz", None, "-H", f"Host: {host}").status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil.example"]
)
def test_pages_of_other_sites_are_turned_away(web: Web, origin: str) -> None:
    for verb, path in (("GET", "/api/graph"), ("POST", "/api/runtime/pause"), ("DELETE", "/api/graph/nodes/eq")):
        refused = web.curl(verb, path, None, "-H", f"Origin: {origin}")
        assert refused.status == 403 and refused.json["error"]["name"] == "forbidden"
    upgrade = ["-H", "Upgrade: websocket", "-H", "Connection: Upgrade", "-H", "Sec-WebSocket-Version: 13"]
    key = ["-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
    refused = web.curl("GET", "/api/ws/graph", None, "-H", f"Origin: {origin}", *upgrade, *key)
    assert refused.status == 403
    assert web.curl("GET", "/api/runtime/status").json["state"] == "running"


def test_pages_of_its_own_and_of_allowed_hosts_may(guarded: Web) -> None:
    for origin in (guarded.base, "https://studio.example", "https://desk.example:8443"):
        assert guarded.curl("GET", "/healthz", None, "-H", f"Origin: {origin}").status == 200
    assert guarded.curl("GET", "/healthz", None, "-H", "Origin: https://desk.example").status == 403


def test_what_a_page_fetches_without_saying_where_it_is_from(web: Web) -> None:
    embedded = ["-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: no-cors"]
    assert web.curl("GET", "/api/listen/hum/out.mp3", None, *embedded).status == 403
    followed = ["-H", "Sec-Fetch-Site: cross-site", "-H", "Sec-Fetch-Mode: navigate"]
    assert web.curl("GET", "/", None, *followed).status == 200, "a link that somebody clicked"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"]
)
def test_what_a_form_can_send_changes_nothing(web: Web, kind: str) -> None:
    body = json.dumps({"type": "gain"})
    refused = web.curl("POST", "/api/graph/nodes", None, "-H", f"Content-Type: {kind}", "--data-binary", body)
    assert refused.status == 415 and "application/json" in refused.json["error"]["message"]


def test_every_answer_bears_the_headers(web: Web) -> None:
    for path in ("/", "/api/graph", "/api/nothing", "/metrics"):
        headers = web.curl("GET", path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["server"] == "tonnetz" and "access-control-allow-origin" not in headers


def test_too_many_requests_are_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    guard = Guard((), rate=10, burst=5)
    request = make_mocked_request("GET", "/", headers={"Host": "localhost"})
    for _ in range(5):
        guard.check(request)
    with pytest.raises(Turned, match="slow down") as turned:
        guard.check(request)
    assert turned.value.status == 429 and turned.value.headers["Retry-After"] == "1"
    now += 0.1
    guard.check(request)
    with pytest.raises(Turned):
        guard.check(request)
