"""How a method is reached over HTTP: declared with it, and read by the HTTP door and by OpenAPI."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal

import msgspec

USAGE = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/([a-z_.]+|\{[a-z_]+\}))+")
Place = Literal["path", "query", "body", "nowhere"]


class Route(msgspec.Struct, frozen=True):
    """`GET /api/graph`, `DELETE /api/graph/nodes/{id}`: names in braces are parameters of the method.

    The others come in the query with GET and DELETE, else as members of an object in JSON. With `whole` the JSON is
    that parameter, and the others come in the query. `without`: parameters that HTTP has no use for. `tagged`: the
    result's revision is the answer's ETag. `media`: what a result that is no JSON (a Blob) may be.
    """

    usage: str
    whole: str = ""
    without: tuple[str, ...] = ()
    tagged: bool = False
    media: tuple[str, ...] = ()

    @property
    def verb(self) -> str:
        return self.usage.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.usage.partition(" ")[2]

    @property
    def has_body(self) -> bool:
        return self.verb not in ("GET", "DELETE")

    def place(self, parameter: str) -> Place:
        """Where a parameter of the method is looked for."""
        if parameter in self.without:
            return "nowhere"
        if f"{{{parameter}}}" in self.path:
            return "path"
        if not self.has_body:
            return "query"
        return "query" if self.whole and parameter != self.whole else "body"

    def mistake(self, parameters: Collection[str], mutates: bool) -> str:
        """What is wrong with the declaration; empty where nothing is."""
        if not USAGE.fullmatch(self.usage):
            return f"'{self.usage}' is no route such as `GET /api/nodes/{{type}}/schema`"
        unknown = {*re.findall(r"\{(\w+)\}", self.path), *filter(None, [self.whole]), *self.without}.difference(
            parameters
        )
        if unknown:
            return f"its route names no parameter of it: {', '.join(sorted(unknown))}"
        if mutates and self.verb == "GET":
            return "what is fetched with GET must change nothing: browsers and proxies ask again as they please"
        return ""


class Blob(msgspec.Struct, frozen=True, kw_only=True, tag="blob", tag_field="kind"):
    """A result that is no JSON: over HTTP the bytes themselves, elsewhere this object, with `data` in base64."""

    media_type: str
    name: str  # what a browser would save it as
    data: bytes
