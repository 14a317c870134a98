"""daemon/credentials.py: secrets that the service manager hands over."""

from __future__ import annotations

from pathlib import Path

import pytest

from tonnetz.daemon.credentials import LONGEST, credential, credentials
from tonnetz.daemon.problems import Refusal


def test_credentials_are_read_and_missing_ones_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "icecast").write_text("hackme\n")
    (tmp_path / "odd").write_bytes(b"\xff\xfe")
    (tmp_path / "huge").write_bytes(b"x" * (LONGEST + 1))
    assert credential("icecast") == "hackme"
    assert credentials() == ["huge", "icecast", "odd"]
    (tmp_path / "icecast").write_text("changed")
    assert credential("icecast") == "changed"
    for name in ("icecats", "odd", "huge", "..", "../icecast", "", "a/b", "x\0"):
        with pytest.raises(Refusal, match="config.password: There is no credential") as refused:
            credential(name, "config.password")
        assert refused.value.name == "invalid_config"
    with pytest.raises(Refusal, match="Did you mean 'icecast'"):
        credential("icecats")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(Refusal, match="see LoadCredential="):
        credential("icecast")
