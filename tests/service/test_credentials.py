"""daemon/service/credentials.py: secrets that the service manager hands over, for nodes and for tokens of the HTTP door."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tonnetz.daemon.caller import Caller
from tonnetz.daemon.endpoints.endpoint import EndpointState, MediaRoots
from tonnetz.daemon.graph.document import edits_from_plain
from tonnetz.daemon.graph.spec import NodeSpec, ParameterSpec, PortSpec
from tonnetz.daemon.node_trial import try_node
from tonnetz.daemon.problems import Problem, Refusal
from tonnetz.daemon.service import credentials as module
from tonnetz.daemon.service.credentials import LONGEST, assumed, credential, credentials, filled
from tonnetz.daemon.session import Session
from tonnetz.daemon.settings import parse_settings
from tonnetz.daemon.startup import begin
from tonnetz.daemon.tokens import SHORTEST, TokenFile, given_tokens

from ..proofs.doubles import Double

CALLER = Caller("uid:0", "admin", "test")


def test_credentials_are_read_and_missing_ones_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "icecast").write_text("hackme\n")
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_bytes(b"x" * (LONGEST + 1))
    assert credential("icecast") == "hackme"
    assert credentials() == ["huge", "icecast", "odd"]
    (tmp_path / "icecast").write_text("changed")
    assert credential("icecast") == "changed"
    for name in ("icecats", "icecast\n", "odd", "huge", "..", "../icecast", "", "a/b", "x\0"):
        with pytest.raises(Refusal, match="config.password: There is no credential") as refused:
            credential(name, "config.password")
        assert refused.value.name == "invalid_config"
    with pytest.raises(Refusal, match="Did you mean 'icecast'"):
        credential("icecats")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(Refusal, match="see LoadCredential="):
        credential("icecast")


@pytest.fixture
def handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of credentials of this process."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / "icecast").write_text("hackme\n")
    (folder / "relay").write_text("tiger\n")
    (folder / "tonnetz.desk").write_text("0123456789abcdef" * 2 + "\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return folder


def test_who_only_looks_takes_them_for_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with assumed():
        assert credential("icecast")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        with pytest.raises(Refusal, match="There is no credential"):
            credential("icecast")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(Refusal, match="There is no credential"):
        credential("icecast")


# ---- Nodes -----------------------------------------------------------------------------------------------------------

KEY = ParameterSpec(name="key", kind="text", default="", help="A secret.", secret=True, core=False)
HOST = ParameterSpec(name="host", kind="text", default="", help="Where.", core=False)
CASTER = NodeSpec(
    type="caster",
    category="sink",
    help="Needs a password, as a server would.",
    core_type="ring_sink",
    parameters=(
        KEY,
        HOST,
        ParameterSpec(name="mirrors", kind="list", help="More.", count_maximum=4, fields=(HOST, KEY), core=False),
        ParameterSpec(
            name="channels", kind="int", default=1, minimum=1, maximum=2, structure=True, core=False, help="Channels."
        ),
    ),
    ports=(PortSpec(name="in", direction="input", rule="parameter", channels_parameter="channels", help="Sound."),),
)


class Casting(Double):
    """Remembers by what it was told to work."""

    @property
    def state(self) -> EndpointState:
        return EndpointState("running", detail={})


class CasterType:
    """What a file of daemon/node_types is to the daemon."""

    SPEC = CASTER

    def __init__(self) -> None:
        self.opened: list[Casting] = []

    def check(self, config: Any, media: MediaRoots) -> list[Problem]:
        return [Problem("missing", "key is empty.", "config.key")] if config["key"] == "" else []

    def open_endpoint(self, node_id: str, config: Any, surroundings: Any) -> Casting:
        self.opened.append(Casting(config, surroundings, 0))
        return self.opened[-1]

    def restart_needed(self, old: Any, new: Any) -> bool:
        return False

    async def test(self, config: Any, trial: Any) -> Any:
        return {"key": config["key"]}


def with_casters(session: Session) -> CasterType:
    type = CasterType()
    session.catalogue["caster"], session.outside_types["caster"] = CASTER, type
    return type


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    session = Session(clock="step")
    yield session
    await session.close()


async def apply(session: Session, *edits: dict[str, Any]) -> None:
    await session.apply(edits_from_plain(list(edits)), caller=CALLER)


async def test_a_node_is_given_what_the_credential_holds_and_the_graph_keeps_its_name(
    session: Session, handed_over: Path
) -> None:
    type = with_casters(session)
    named = {"credential": "icecast"}
    mirrors = [{"host": "a", "key": {"credential": "relay"}}, {"host": "b", "key": "plain"}]
    await apply(
        session, {"op": "add_node", "id": "feed", "type": "caster", "config": {"key": named, "mirrors": mirrors}}
    )
    assert type.opened[0].config["key"] == "hackme"
    assert [mirror["key"] for mirror in type.opened[0].config["mirrors"]] == ["tiger", "plain"]
    assert session.graph.nodes["feed"].config["key"] == named
    shown: Any = session.node_view("feed")
    assert shown["config"]["key"] == named, "a name is no secret"
    assert [mirror["key"] for mirror in shown["config"]["mirrors"]] == [{"credential": "relay"}, {"secret": True}]
    await apply(session, {"op": "configure_node", "id": "feed", "config": {"key": {"credential": "relay"}}})
    assert type.opened[0].config["key"] == "tiger", "it is told of another one"
    await apply(session, {"op": "configure_node", "id": "feed", "config": {"key": {"secret": True}, "host": "c"}})
    assert session.graph.nodes["feed"].config["key"] == {"credential": "relay"}, "which the usual words keep"


@pytest.mark.parametrize(
    ("config", "where", "message"),
    [
        ({"key": {"credential": "icecats"}}, "edits[0].config.key", "Did you mean 'icecast'"),
        (
            {"key": "k", "mirrors": [{"key": {"credential": "nobody"}}]},
            "edits[0].config.mirrors[0].key",
            "There is no credential 'nobody'",
        ),
        ({"key": {"credential": 5}}, "edits[0].config.key", '{"credential": NAME}'),
        ({"key": {"credential": "../icecast"}}, "edits[0].config.key", '{"credential": NAME}'),
        ({"host": {"credential": "icecast"}}, "edits[0].config.host", "must be a text, not"),
    ],
)
async def test_a_credential_that_is_not_there_is_refused(
    session: Session, handed_over: Path, config: dict[str, Any], where: str, message: str
) -> None:
    with_casters(session)
    with pytest.raises(Refusal) as refused:
        await apply(session, {"op": "add_node", "type": "caster", "config": config})
    assert refused.value.name == "invalid_config"
    assert [problem.where for problem in refused.value.problems] == [where]
    assert message in refused.value.problems[0].message and not session.graph.nodes


async def test_a_node_gets_none_of_the_daemons_own(session: Session, handed_over: Path) -> None:
    """Or an operator would let it be sent to a server of their choice, and be the token's admin."""
    type = with_casters(session)
    with pytest.raises(Refusal, match="is the daemon's own") as refused:
        await apply(session, {"op": "add_node", "type": "caster", "config": {"key": {"credential": "tonnetz.desk"}}})
    assert refused.value.name == "forbidden"
    assert filled("feed", CASTER, {"key": {"credential": "tonnetz.desk"}, "mirrors": []})["key"] == ""
    assert not type.opened


async def test_a_trial_uses_it_too(session: Session, handed_over: Path) -> None:
    outside: Any = with_casters(session)
    trial: Any = session  # of which it asks for nothing but `media`
    told = await try_node(CASTER, outside, {"key": {"credential": "icecast"}}, trial)
    assert told["ok"] and told["found"] == {"key": "hackme"}
    assert not (await try_node(CASTER, outside, {"key": {"credential": "nobody"}}, trial))["ok"]


async def test_after_a_restart_a_node_whose_credential_is_gone_plays_without(
    tmp_path: Path, handed_over: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = parse_settings({"storage": {"directory": str(tmp_path / "state")}})
    first = Session(clock="step")
    with_casters(first)
    await begin(first, settings)
    await apply(first, {"op": "add_node", "id": "feed", "type": "caster", "config": {"key": {"credential": "icecast"}}})
    await first.close()
    for file in (tmp_path / "state").iterdir():
        assert b"hackme" not in file.read_bytes(), file
    for text, given in (("changed", "changed"), (None, "")):
        (handed_over / "icecast").unlink() if text is None else (handed_over / "icecast").write_text(text)
        again = Session(clock="step")
        type = with_casters(again)
        await begin(again, settings)
        assert type.opened[0].config["key"] == given
        await again.close()
    (record,) = [one for one in caplog.records if one.name == module.__name__]
    assert record.levelno == logging.WARNING and "feed goes without its key: There is no credential" in record.message


# ---- Tokens ----------------------------------------------------------------------------------------------------------


def test_tokens_that_come_with_the_unit(handed_over: Path, tmp_path: Path) -> None:
    settings = parse_settings(
        {"doors": {"http": {"tokens": [{"name": "desk", "credential": "tonnetz.desk", "role": "viewer"}]}}}
    )
    assert settings.doors.http
    file = TokenFile(tmp_path / "state", given_tokens(settings.doors.http.tokens, credential))
    held = file.holder("0123456789abcdef" * 2)
    assert held is not None and (held.name, held.role) == ("desk", "viewer") and held.id in file.tokens()
    assert file.holder("0123456789abcdef") is None and file.holder("") is None
    _, other = file.add("phone", "operator")
    assert file.holder(other) is not None and file.holder("0123456789abcdef" * 2) == held
    assert b"desk" not in file.path.read_bytes(), "the file has its own tokens alone"


def test_a_token_that_is_given_twice_has_no_role(handed_over: Path) -> None:
    twice = [{"name": "desk", "credential": "tonnetz.desk", "role": role} for role in ("viewer", "admin")]
    settings = parse_settings({"doors": {"http": {"tokens": twice}}})
    assert settings.doors.http
    with pytest.raises(Refusal, match="is desk's already") as refused:
        given_tokens(settings.doors.http.tokens, credential)
    assert refused.value.problems[0].where == "doors.http.tokens[1].credential"


@pytest.mark.parametrize("content", ["", "short", "x" * (SHORTEST - 1), "x" * 40 + " y", "x" * 40 + "\ny", "ä" * 40])
def test_what_could_be_guessed_or_not_be_sent_is_no_token(handed_over: Path, content: str) -> None:
    (handed_over / "tonnetz.desk").write_text(content)
    settings = parse_settings({"doors": {"http": {"tokens": [{"name": "desk", "credential": "tonnetz.desk"}]}}})
    assert settings.doors.http
    with pytest.raises(Refusal, match="is no token, which has 32 characters") as refused:
        given_tokens(settings.doors.http.tokens, credential)
    assert refused.value.problems[0].where == "doors.http.tokens[0].credential"


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ({"name": "desk", "credentail": "tonnetz.desk"}, "Did you mean 'credential'"),
        ({"name": "a b", "credential": "tonnetz.desk"}, "doors.http.tokens"),
        ({"name": "desk", "credential": "../tonnetz.desk"}, "doors.http.tokens"),
        ({"name": "desk", "credential": "icecast"}, "doors.http.tokens"),
        ({"name": "desk"}, "credential"),
        ({"name": "desk", "credential": "tonnetz.desk", "role": "king"}, "king"),
    ],
)
def test_a_setting_with_a_mistake_is_told(token: dict[str, str], message: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_settings({"doors": {"http": {"tokens": [token]}}})
    assert message in f"{refused.value.problems[0].where}: {refused.value.problems[0].message}"


CONFIGURATION = """
engine: {clock: internal, realtime_priority: 0}
doors:
  socket: {path: sock}
  http: {listen: "127.0.0.1:0", require_token: true, tokens: [{name: desk, role: viewer, credential: tonnetz.desk}]}
  dbus: false
storage: {directory: state}
"""


def test_a_whole_daemon_lets_its_holder_in(folder: Path, handed_over: Path) -> None:
    (folder / "tonnetz.yaml").write_text(CONFIGURATION)
    command = [sys.executable, "-m", "tonnetz.daemon.main", "--config", str(folder / "tonnetz.yaml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        address = next(line.split()[-1] for line in daemon.stderr if "listening on http" in line)

        def ask(token: str) -> tuple[int, Any]:
            request = urllib.request.Request(f"{address}api/system", headers={"Authorization": f"Bearer {token}"})
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                return error.code, json.load(error)

        status, described = ask("0123456789abcdef" * 2)
        assert status == 200 and (described["caller"], described["role"]) == ("token:desk/tonnetz.desk", "viewer")
        assert ask("0123456789abcdee" * 2)[0] == 401
        daemon.terminate()
    assert daemon.returncode == 0


def test_a_daemon_without_its_credential_does_not_start_and_a_check_does_not_mind(folder: Path) -> None:
    (folder / "tonnetz.yaml").write_text(CONFIGURATION.replace("127.0.0.1:0", "0.0.0.0:0"))
    command = [sys.executable, "-m", "tonnetz.daemon.main", "--config", str(folder / "tonnetz.yaml")]
    outside = {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}
    refused = subprocess.run(command, env=outside, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2
    assert "doors.http.tokens[0].credential: There is no credential 'tonnetz.desk'" in refused.stderr
    checked = subprocess.run(
        [*command, "--check"], env=outside, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0 and "is fine" in checked.stdout, checked.stderr
