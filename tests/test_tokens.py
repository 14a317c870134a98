"""daemon/tokens.py: secrets are kept nowhere, the file is its owner's alone and always whole."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from tonnetz.daemon.problems import Refusal
from tonnetz.daemon.tokens import TokenFile


def test_a_token_is_known_by_its_secret_alone(tmp_path: Path) -> None:
    file = TokenFile(tmp_path / "state")
    assert file.tokens() == {}
    token, secret = file.add("desk", "operator")
    assert file.holder(secret) == token and token.role == "operator"
    for other in (
        "",
        secret[:-1],
        secret + "x",
        secret.upper(),
        f"tnz_{token.id}_",
        "tnz__x",
        token.sha256,
        "Bearer x",
    ):
        assert file.holder(other) is None, other
    text = file.path.read_text()
    assert secret not in text and secret.split("_", 2)[2] not in text
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.parent.stat().st_mode) == 0o700


def test_another_looks_at_the_same_file(tmp_path: Path) -> None:
    here, there = TokenFile(tmp_path), TokenFile(tmp_path)
    _, secret = here.add("desk", "viewer")
    assert there.holder(secret) is not None
    assert [token.name for token in there.revoke("desk")] == ["desk"]
    assert here.holder(secret) is None and here.revoke("desk") == []


def test_names_and_ids_revoke(tmp_path: Path) -> None:
    file = TokenFile(tmp_path)
    tokens = [file.add(name, "viewer")[0] for name in ("a", "b", "b")]
    assert file.revoke(tokens[0].id) == [tokens[0]]
    assert set(file.revoke("b")) == set(tokens[1:]) and file.tokens() == {}
    for name in ("", "-x", "a b", "ä", "x" * 64, "a\n"):
        with pytest.raises(Refusal, match="is no name for a token"):
            file.add(name, "viewer")


def test_a_file_that_others_may_read_is_not_trusted(tmp_path: Path) -> None:
    file = TokenFile(tmp_path)
    _, secret = file.add("desk", "admin")
    file.path.chmod(0o640)
    with pytest.raises(Refusal, match="chmod 600") as refused:
        file.holder(secret)
    assert refused.value.name == "invalid_config"
    file.path.chmod(0o600)
    assert file.holder(secret) is not None


@hypothesis.given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, content: bytes) -> None:
    file = TokenFile(tmp_path)
    file.path.unlink(missing_ok=True)
    file.path.touch(0o600)
    file.path.write_bytes(content)
    with pytest.raises(Refusal, match="damaged"):
        file.tokens()
    with pytest.raises(Refusal, match="damaged"):
        file.add("x", "admin")
    assert file.path.read_bytes() == content


@hypothesis.given(
    st.text(max_size=100) | st.binary(max_size=100).map(lambda sent: sent.decode(errors="surrogateescape"))
)
@hypothesis.example("\udcff")  # as a header has what is no UTF-8
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_as_a_secret_is_refused_quietly(tmp_path: Path, secret: str) -> None:
    file = TokenFile(tmp_path)
    if not file.tokens():
        file.add("desk", "admin")
    assert file.holder(secret) is None


def test_several_at_once_lose_nothing(tmp_path: Path) -> None:
    threads = [
        threading.Thread(target=lambda: [TokenFile(tmp_path).add("x", "viewer") for _ in range(10)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(TokenFile(tmp_path).tokens()) == 80
