"""The pages that the door serves itself: what is here, and the API to be tried in a browser."""

from __future__ import annotations

from importlib.resources import files

from aiohttp import web

# Under which path, which file of static/, and as what.
PAGES = {
    "/": ("index.html", "text/html"),
    "/api": ("api.html", "text/html"),
    "/assets/api.js": ("api.js", "text/javascript"),
    "/assets/pages.css": ("pages.css", "text/css"),
}


def page_routes() -> list[web.RouteDef]:
    """Read once, when the door is made."""
    folder = files(__package__).joinpath("static")
    return [_route(path, folder.joinpath(name).read_bytes(), kind) for path, (name, kind) in PAGES.items()]


def _route(path: str, content: bytes, kind: str) -> web.RouteDef:
    async def serve(request: web.Request) -> web.Response:  # noqa: ARG001
        return web.Response(body=content, content_type=kind, charset="utf-8")

    return web.get(path, serve)
