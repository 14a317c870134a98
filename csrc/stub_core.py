"""Writes `csrc/tonnetz/_core.pyi`, what mypy knows of the compiled core, from the header that the compiler reads.

Run it after a change of tonnetz_core.h: `python csrc/stub_core.py`. A test fails while the two differ.
"""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from build_core import declarations

STUB = Path(__file__).resolve().parent / "tonnetz" / "_core.pyi"

HEAD = '''\
# Made from csrc/tonnetz_core.h by csrc/stub_core.py.
from typing import Any

class CData:
    """A C value: a pointer, an array or a struct. cffi checks its type at the call."""

    def __getattr__(self, name: str) -> Any: ...
    def __getitem__(self, index: int | slice) -> Any: ...
    def __setitem__(self, index: int | slice, value: Any) -> None: ...
    def __add__(self, offset: int) -> CData: ...
    def __len__(self) -> int: ...
    def __bool__(self) -> bool: ...

class _FFI:
    NULL: CData
    def new(self, cdecl: str, init: Any = ...) -> CData: ...
    def gc(self, cdata: CData, destructor: Any, size: int = 0) -> CData: ...
    def cast(self, cdecl: str, source: Any) -> CData: ...
    def string(self, cdata: CData, maxlen: int = -1) -> bytes: ...
    def buffer(self, cdata: CData, size: int = -1) -> Any: ...
    def from_buffer(self, cdecl: str, python_buffer: Any, require_writable: bool = False) -> CData: ...
    def sizeof(self, cdecl: str | CData) -> int: ...

class _Lib:
'''
TAIL = """
ffi: _FFI
lib: _Lib
"""


def python_type(c_type: str) -> str:
    """The type of a C argument or result as mypy should see it."""
    if "*" in c_type:
        return "CData"
    if "bool" in c_type:
        return "bool"
    if "float" in c_type or "double" in c_type:
        return "float"
    return "None" if c_type.strip() == "void" else "int"


def argument(text: str) -> str:
    """`const float *planar` -> `planar: CData`. A string may be given as bytes."""
    found = re.fullmatch(r"(.*?)(\w+)", text.strip(), re.DOTALL)
    assert found is not None, text
    c_type, name = found[1], found[2] + ("_" if keyword.iskeyword(found[2]) else "")
    return f"{name}: {'bytes | CData' if c_type.split() == ['const', 'char', '*'] else python_type(c_type)}"


def stub() -> str:
    """The whole text of the stub."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", declarations(), flags=re.DOTALL)
    enumerations = re.findall(r"\benum\b[^{;]*\{([^}]*)\}", text)
    constants = [name for body in enumerations for name in re.findall(r"\bTZ_\w+", body)]
    functions = re.findall(r"([\w\s*]+?)\b(tz_\w+)\(([^()]*)\);", re.sub(r"\{[^}]*\}", "", text))
    lines = [f"    {name}: int\n" for name in constants]
    for result, name, arguments in functions:
        listed = [] if arguments.strip() == "void" else [argument(text) for text in arguments.split(",")]
        lines.append(f"    def {name}({', '.join(['self', *listed, '/'])}) -> {python_type(result)}: ...\n")
    return HEAD + "".join(lines) + TAIL


if __name__ == "__main__":
    STUB.write_text(stub())
