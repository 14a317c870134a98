"""Who may come in over the network: tokens, of which only hashes are kept, in a file that only its owner may read.

The file is shared by the daemon, which looks whether it has changed, and by `tonnetz token`, which changes it: a token
can be made before the first start and revoked while the daemon runs. Others come with the unit, as credentials, and are
good for as long as the daemon runs.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .caller import Role
from .problems import Problem, Refusal, refuse
from .rfc3339 import written

if TYPE_CHECKING:
    from .settings import GivenToken

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
PREFIX = "tnz"  # so that one found in a log or a repository is recognised
ID_BYTES, SECRET_BYTES = 4, 32  # 256 random bits: no need for a slow hash
SHORTEST = 32  # characters of one that others have made: as hexadecimal digits still 128 bits


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A token as it is kept. `made` is UTC, RFC 3339."""

    id: str
    name: str
    role: Role
    sha256: str
    made: str


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    version: int
    tokens: tuple[Token, ...]


class TokenFile:
    """The tokens in a file; there need not be one. Every look is at the file as it is now."""

    def __init__(self, directory: str | Path, given: Iterable[Token] = ()) -> None:
        """`given`: tokens that are good beside those in the file."""
        self.path = Path(directory) / "tokens.json"
        self._given = {token.id: token for token in given}
        self._seen: tuple[int, ...] | None = None
        self._tokens: dict[str, Token] = {}

    def tokens(self) -> dict[str, Token]:
        """All tokens by id. A Refusal (invalid_config) where the file is damaged, or where others may read it."""
        return {**self._kept(), **self._given}

    def _kept(self) -> dict[str, Token]:
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            self._seen, self._tokens = None, {}
            return {}
        except OSError as error:
            raise self._wrong(f"can't be read: {error.strerror}") from None
        seen = (found.st_mtime_ns, found.st_ino, found.st_size, found.st_mode)
        if seen != self._seen:
            if found.st_mode & 0o077:
                raise self._wrong(f"may be read by others; close it: chmod 600 {self.path}")
            self._tokens = self._read()
            self._seen = seen
        return self._tokens

    def holder(self, secret: str) -> Token | None:
        """The token that this is the secret of."""
        prefix, _, rest = secret.partition("_")
        named = self.tokens().get(rest.partition("_")[0]) if prefix == PREFIX else None
        hashed = _hash(secret)
        candidates = [*self._given.values(), *([named] if named else [])]
        return next((token for token in candidates if hmac.compare_digest(token.sha256, hashed)), None)

    def add(self, name: str, role: Role) -> tuple[Token, str]:
        """A new token, and its secret, which is kept nowhere. Names need not be unique."""
        id = secrets.token_hex(ID_BYTES)
        secret = f"{PREFIX}_{id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        made = written(time.time_ns(), "seconds")
        if not re.fullmatch(NAME, name):
            message = f"'{name}' is no name for a token: letters, digits, '.', '_' and '-', at most 63."
            raise refuse("invalid_params", [Problem("invalid_value", message, "name")])
        token = Token(id, name, role, _hash(secret), made)
        self._change(lambda tokens: {**tokens, id: token})
        return token, secret

    def revoke(self, word: str) -> list[Token]:
        """Takes away the token with this id, or all with this name; which they were."""
        gone: list[Token] = []

        def without(tokens: dict[str, Token]) -> dict[str, Token]:
            gone.extend(token for token in tokens.values() if word in (token.id, token.name))
            return {id: token for id, token in tokens.items() if token not in gone}

        self._change(without)
        return gone

    def _change(self, change: Callable[[dict[str, Token]], dict[str, Token]]) -> None:
        """One change at a time, and the file is always whole: the old one or the new one."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                self._write(change(dict(self._kept())))
            finally:
                os.close(handle)
        except OSError as error:
            raise self._wrong(f"can't be written: {error.strerror}") from error

    def _write(self, tokens: dict[str, Token]) -> None:
        text = msgspec.json.format(msgspec.json.encode(Kept(1, tuple(tokens.values()))), indent=2)
        draft = self.path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text + b"\n")
            file.flush()
            if os.geteuid() == 0:  # made by root for a daemon of another user, who owns the folder
                owner = os.stat(self.path.parent)
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fsync(file.fileno())
        os.replace(draft, self.path)

    def _read(self) -> dict[str, Token]:
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=Kept)
        except OSError as error:
            raise self._wrong(f"can't be read: {error.strerror}") from None
        except msgspec.MsgspecError as error:
            raise self._wrong(f"is damaged ({error}); put it right, or take it away and make new tokens") from None
        return {token.id: token for token in kept.tokens}

    def _wrong(self, why: str) -> Refusal:
        return Refusal("invalid_config", f"The file of tokens, {self.path}, {why}.")


def given_tokens(settings: Iterable[GivenToken], read: Callable[[str, str], str]) -> list[Token]:
    """The tokens that are credentials, each known by the name of its credential. `read` is given that and its place.
    Raises a Refusal where one is missing, given twice, or could be guessed."""
    found: dict[str, Token] = {}
    for place, setting in enumerate(settings):
        where = f"doors.http.tokens[{place}].credential"
        if setting.credential in found:
            message = f"'{setting.credential}' is {found[setting.credential].name}'s already; one token has one role."
            raise refuse("invalid_config", [Problem("duplicate", message, where)])
        secret = read(setting.credential, where)
        if len(secret) < SHORTEST or not secret.isascii() or not secret.isprintable() or " " in secret:
            message = (
                f"The credential '{setting.credential}' is no token, which has {SHORTEST} characters or more, and no "
                "spaces: `openssl rand -hex 32` makes one."
            )
            raise refuse("invalid_config", [Problem("invalid_value", message, where)])
        found[setting.credential] = Token(setting.credential, setting.name, setting.role, _hash(secret), "")
    return list(found.values())


def _hash(secret: str) -> str:
    # A header's bytes that are no UTF-8 come as lone surrogates.
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
