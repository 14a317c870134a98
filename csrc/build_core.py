"""The one recipe for the compiled core, `tonnetz._core`.

setup.py hands `ffi` to setuptools; the C tests take `compile_flags` and `c_sources` from here, so they are compiled as
the core is. The environment variable TONNETZ_BUILD chooses a profile: release (the default), debug, asan, tsan or
ubsan. A changed profile, flag, source or header makes everything compile anew.
"""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from cffi import FFI

CSRC = Path(__file__).resolve().parent
ROOT = CSRC.parent

# What every profile shares. Never -ffast-math: linking with it makes the mere loading of the core flush denormals in
# the loading thread, and it makes isnan() vanish. The last two undo what an interpreter's own build may ask of its
# extensions: overflow that wraps costs vectorised loops, and link-time optimisation could drop the node types, which
# nothing but a section of the linker's refers to.
COMMON_FLAGS = (
    "-std=c11 -D_GNU_SOURCE -pthread -fvisibility=hidden -Wall -Wextra "
    "-fno-math-errno -fno-trapping-math -fno-wrapv -fno-lto"
)
# TZ_NO_CLONES: one version of each kernel. Sanitizers start too late for the resolvers that choose between several.
PROFILE_FLAGS = {
    "release": "-O3 -DNDEBUG",
    "debug": "-Og -g3 -UNDEBUG -DTZ_NO_CLONES",
    "asan": "-O1 -g -UNDEBUG -DTZ_NO_CLONES -U_FORTIFY_SOURCE -fno-omit-frame-pointer -fsanitize=address",
    "tsan": "-O1 -g -UNDEBUG -DTZ_NO_CLONES -U_FORTIFY_SOURCE -fno-omit-frame-pointer -fsanitize=thread",
    "ubsan": "-O1 -g -UNDEBUG -DTZ_NO_CLONES -U_FORTIFY_SOURCE -fno-omit-frame-pointer "
    "-fsanitize=undefined -fno-sanitize-recover=all",
}


def chosen_profile() -> str:
    """The profile that TONNETZ_BUILD names; SystemExit for one that does not exist."""
    profile = os.environ.get("TONNETZ_BUILD") or "release"
    if profile not in PROFILE_FLAGS:
        raise SystemExit(f"TONNETZ_BUILD={profile}: there is no such profile. Known: {', '.join(PROFILE_FLAGS)}.")
    return profile


def compile_flags(profile: str) -> list[str]:
    """What the compiler is told. In a checkout a warning is an error; elsewhere a newer compiler may warn of more."""
    strict = [] if (ROOT / "PKG-INFO").exists() else ["-Werror"]
    return [*COMMON_FLAGS.split(), *strict, *PROFILE_FLAGS[profile].split(), f'-DTZ_BUILD="{profile}"']


def link_flags(profile: str) -> list[str]:
    """What the linker is told. Sections that nothing refers to stay: the list of node types is one."""
    sanitizer = [flag for flag in PROFILE_FLAGS[profile].split() if flag.startswith("-fsanitize=")]
    return ["-pthread", "-lasound", "-lm", "-Wl,--no-gc-sections", *sanitizer]


def c_sources() -> list[Path]:
    """Every C file of the core: one more file in csrc/ or csrc/nodes/ is one more part or node type."""
    return sorted([*CSRC.glob("*.c"), *CSRC.glob("nodes/*.c")])


# What newer processors of a kind can do, and how their files' node types are told apart (csrc/node_list.c).
LEVELS = {"x86_64": ("v3", "v4")}


def level_sources(profile: str) -> list[Path]:
    """Node types and the like once more for each level of the processor, which the core then chooses from: files of few
    lines.

    So the compiler and the preprocessor know in all of a file how wide vectors are, not only in some functions of it.
    Sanitizers and debuggers see the plain version.
    """
    sources = []
    for level in LEVELS.get(platform.machine(), ()) if profile == "release" else ():
        for path in [CSRC / "look.c", *sorted(CSRC.glob("nodes/*.c"))]:
            source = ROOT / "build" / "levels" / level / path.name
            text = (
                f'#pragma GCC target("arch=x86-64-{level}")\n'
                f'#define TZ_NODE_TYPES "tz_node_types_{level}"\n'
                f"#define TZ_AT_LEVEL(name) name##_{level}\n"
                f"#include <{path.relative_to(CSRC)}>\n"
            )
            if not source.exists() or source.read_text() != text:
                source.parent.mkdir(parents=True, exist_ok=True)
                source.write_text(text)
            sources.append(source)
    return sources


def headers() -> list[Path]:
    return sorted([*CSRC.glob("*.h"), *CSRC.glob("nodes/*.h")])


def declarations() -> str:
    """What Python may call: the part of tonnetz_core.h between its two marks."""
    found = re.search(r"/\* cffi: begin \*/(.*)/\* cffi: end \*/", (CSRC / "tonnetz_core.h").read_text(), re.DOTALL)
    if found is None:
        raise SystemExit("csrc/tonnetz_core.h has lost its marks 'cffi: begin' and 'cffi: end'.")
    return found[1]


def recipe_stamp(profile: str) -> Path:
    """A file that is touched only when the recipe changes; setuptools itself compares nothing but times of files."""
    stamp = ROOT / "build" / "core-recipe.txt"
    recipe = "\n".join([*compile_flags(profile), *link_flags(profile), *map(str, c_sources()), *map(str, headers())])
    if not stamp.exists() or stamp.read_text() != recipe:
        stamp.parent.mkdir(exist_ok=True)
        stamp.write_text(recipe)
    return stamp


def core_builder(profile: str) -> FFI:
    """The cffi builder of `tonnetz._core`: setuptools starts the compiler, and asks for relative paths."""

    def relative(paths: list[Path]) -> list[str]:
        return [os.path.relpath(path, ROOT) for path in paths]

    builder = FFI()
    builder.cdef(declarations())
    builder.set_source(
        "tonnetz._core",
        '#include "tonnetz_core.h"',
        sources=relative([*c_sources(), *level_sources(profile)]),
        depends=relative([*headers(), *CSRC.glob("nodes/*.c"), Path(__file__).resolve(), recipe_stamp(profile)]),
        include_dirs=[os.path.relpath(CSRC, ROOT)],
        extra_compile_args=compile_flags(profile),
        extra_link_args=link_flags(profile),
    )
    return builder


if __name__ == "__cffi__":  # so cffi calls it; a test that wants the flags alone imports this file
    ffi = core_builder(chosen_profile())
