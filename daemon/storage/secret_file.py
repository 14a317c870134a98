"""Secrets, apart from everything else: passwords and stream keys in a file of their own, mode 0600.

The journal and the snapshots hold references, `{"secret": "<reference>"}`, so they may be copied and read without
telling any. A reference is random and says nothing of its value.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

FILE = "secrets.json"
MARK = b'{"secret":"'  # what a reference looks like at its beginning, in JSON as msgspec writes it
REFERENCE = re.compile(re.escape(MARK) + rb'([0-9a-f]{32})"')


class SecretFile:
    """The secrets by reference. `hide` makes one, `reveal` puts the values back in place; `save` before a reference is
    written anywhere else."""

    def __init__(self, folder: Path, sync: bool) -> None:
        self.path = folder / FILE
        self.lost: set[str] = set()  # references of which no value is known
        self._sync = sync
        self._by_reference: dict[str, str] = {}
        self._by_value: dict[str, str] = {}
        self._hidden: set[str] = set()  # references given out since the start
        self._saved = 0

    def load(self) -> str:
        """Reads the file, if there is one. What is given back says if it was damaged, and set aside. Raises OSError."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            return ""
        with open(handle, "rb") as file:
            if stat.S_IMODE(os.fstat(handle).st_mode) & 0o077:
                os.fchmod(handle, 0o600)
            text = file.read()
        try:
            self._hold(msgspec.json.decode(text, type=dict[str, str]))
        except msgspec.MsgspecError as error:
            aside = self.path.with_name(f"damaged-{self.path.name}")
            os.replace(self.path, aside)
            return (
                f"{self.path} can't be read ({error}) and was set aside as {aside.name}; set passwords and keys again."
            )
        return ""

    def _hold(self, values: Mapping[str, str]) -> None:
        self._by_reference = dict(values)
        self._by_value = {value: reference for reference, value in values.items()}
        self._saved = len(values)

    @property
    def known(self) -> int:
        """How many there are."""
        return len(self._by_reference)

    def hide(self, text: str) -> dict[str, str]:
        """The reference to a secret, the same for the same secret."""
        reference = self._by_value.get(text)
        if reference is None:
            reference = secrets.token_hex(16)
            self._by_value[text] = reference
            self._by_reference[reference] = text
        self._hidden.add(reference)
        return {"secret": reference}

    def reveal(self, data: Any) -> Any:
        """Plain data with the values in the place of references; an unknown one becomes an empty text."""
        if isinstance(data, dict):
            if len(data) == 1 and isinstance(reference := data.get("secret"), str):
                if reference not in self._by_reference:
                    self.lost.add(reference)
                return self._by_reference.get(reference, "")
            return {key: self.reveal(value) for key, value in data.items()}
        if isinstance(data, list):
            return [self.reveal(value) for value in data]
        return data

    def save(self) -> None:
        """Writes what is new; the old file stays whole until the new one is. Raises OSError."""
        if len(self._by_reference) == self._saved:
            return
        beside = self.path.with_suffix(".new")
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with open(handle, "wb") as file:
            os.fchmod(handle, 0o600)
            file.write(msgspec.json.encode(self._by_reference))
            file.flush()
            if self._sync:
                os.fsync(handle)
        os.replace(beside, self.path)
        if self._sync:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._saved = len(self._by_reference)

    def forget(self, but: Collection[str]) -> None:
        """Lets go of all secrets but those of these references, and of those given out meanwhile. Raises OSError."""
        needed = self._hidden.union(but)
        kept = {reference: value for reference, value in self._by_reference.items() if reference in needed}
        if len(kept) < len(self._by_reference):
            self._hold(kept)
            self._saved = -1
            self.save()
