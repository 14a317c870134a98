"""The HTTP door: opens a port, turns away what must not come in, and hands on the rest."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from tonnetz.daemon.problems import Refusal

from ...method_table import Call, Method
from ..json_rpc import JsonRpc, Limits, internal_error
from .answers import error_response, from_aiohttp, json_response
from .callers import ANYBODY, CALLER, TICKET_S, Callers, caller_of
from .connections import LINGER_S, Bounds, Connections
from .graph_socket import graph_socket
from .guard import HEADERS, Guard
from .listening import Listening
from .metrics import metrics_response
from .monitoring_socket import monitoring_socket
from .openapi import openapi_document
from .pages import page_routes
from .port import Port
from .rest import routes
from .sockets import Sockets

if TYPE_CHECKING:
    from tonnetz.daemon.session import Session

log = logging.getLogger(__name__)

KEEPALIVE_S = 75.0  # that an idle connection stays open
LONGEST_LINE = 1 << 20  # bytes of a request's first line: room for the names of 10,000 nodes
# What can't be read as HTTP at all is answered by aiohttp, and is nothing to fill our log with.
UNREADABLE = logging.getLogger(f"{__name__}.unreadable")
UNREADABLE.setLevel(logging.CRITICAL)


class HttpDoor:
    """Listens on a TCP port, which it opens if that is still to be done, and closes."""

    def __init__(
        self,
        session: Session,
        methods: Mapping[str, Method],
        port: Port,
        *,
        limits: Limits = Limits(),
        guard: Guard | None = None,
        bounds: Bounds = Bounds(),
    ) -> None:
        self.session = session
        self.port = port
        self._methods = methods
        self._json_rpc = JsonRpc(methods, limits)
        self._guard = guard or Guard(port.settings.allowed_hosts)
        self._callers = Callers(port.tokens, port.token_required)
        self._sockets = Sockets(self._callers)
        self._listening = Listening(session, self._sockets)
        self._public: set[object] = set()  # handlers that need no token
        self._connections = Connections(bounds, HEADERS)
        self._runner: web.AppRunner | None = None
        self._application = self._make(methods)

    @property
    def router(self) -> web.UrlDispatcher:
        """All that can be asked for."""
        return self._application.router

    async def open(self) -> None:
        """Begin to listen. Raises PortInUse."""
        self._runner = web.AppRunner(
            self._application,
            access_log=None,
            logger=UNREADABLE,
            keepalive_timeout=KEEPALIVE_S,
            max_line_size=LONGEST_LINE,
            lingering_time=LINGER_S,
        )
        await self._runner.setup()
        assert self._runner.server is not None
        try:
            await self.port.serve(self._connections.protocol(self._runner.server))
        except BaseException:
            await self._runner.cleanup()
            raise
        log.info("listening on http://%s/", self.port.address)

    async def close(self) -> None:
        """Take leave of everybody and close the port."""
        await self.port.close()
        await self._sockets.close()
        await self._listening.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._connections.close()

    # ---- The application ---------------------------------------------------------------------------------------------

    def _make(self, methods: Mapping[str, Method]) -> web.Application:
        application = web.Application(
            middlewares=[self._protection()], client_max_size=self._json_rpc.limits.message_bytes, logger=log
        )
        application.add_routes(routes(self.session, methods, self._json_rpc))
        application.add_routes(
            [
                web.get("/api/ws/graph", graph_socket(self.session, self._json_rpc, self._sockets)),
                web.get("/api/ws/monitoring", monitoring_socket(self.session, self._sockets)),
                *self._listening.routes(),
                web.post("/api/tickets", self._ticket),
                web.get("/metrics", self._metrics),
                web.get("/openapi.json", self._openapi),
                web.get("/healthz", self._healthz),
            ]
        )
        pages = page_routes()
        application.add_routes(pages)
        self._public = {self._healthz, self._openapi, *(page.handler for page in pages)}
        application.on_response_prepare.append(_add_headers)
        return application

    def _protection(self) -> Middleware:
        """Around every request: who may not come in is told so, and every error has one shape."""

        @web.middleware
        async def protect(request: web.Request, handler: Handler) -> web.StreamResponse:
            with self._connections.serving(request):
                try:
                    self._guard.check(request)
                    if request.match_info.handler not in self._public:
                        request[CALLER] = self._callers.find(request)
                    return await handler(request)
                except Refusal as refusal:
                    return error_response(refusal)
                except web.HTTPException as error:
                    return from_aiohttp(error, request)
                except ConnectionError:
                    return web.Response()  # nobody is there to be answered
                except Exception:
                    log.exception("%s %s failed", request.method, request.path)
                    return error_response(internal_error())

        return protect

    async def _ticket(self, request: web.Request) -> web.Response:
        return json_response({"ticket": self._callers.ticket(caller_of(request)), "expires_s": TICKET_S})

    async def _metrics(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return metrics_response(self.session, len(self._sockets))

    async def _openapi(self, request: web.Request) -> web.Response:  # noqa: ARG002
        return json_response(openapi_document(self.port.token_required))

    async def _healthz(self, request: web.Request) -> web.Response:  # noqa: ARG002
        """What `system.health` finds, without what is nobody's business: messages name files and hosts. 200 whatever is
        wrong: to start the daemon anew, as some would who are answered otherwise, ends what still plays."""
        found = await self._methods["system.health"].run(Call(self.session, ANYBODY))
        about = {"nodes_in_trouble": len(found.nodes), "storage": found.storage.state}
        return json_response({"status": found.status, "state": found.state, **about})


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:  # noqa: ARG001
    response.headers.update(HEADERS)
