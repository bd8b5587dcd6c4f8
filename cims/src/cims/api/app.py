"""The application: routes, door, and what is asked from outside without a token."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.to_thread
from fastapi import FastAPI, Request, Response, Security
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer

from cims import __version__
from cims.api import answers, listing, orders, page, reports, stock
from cims.api.door import Door
from cims.api.orders import Parts
from cims.api.service import Service, service_of
from cims.settings import Settings


def build(settings: Settings) -> FastAPI:
    """One application over one database. It starts whether or not the database answers."""
    service = Service(settings)

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            service.close()

    # The interactive pages would fetch scripts from elsewhere; /openapi.json is all they read.
    app = FastAPI(title="cims", version=__version__, docs_url=None, redoc_url=None, lifespan=life)
    app.state.service = service
    answers.install(app)
    # The door asks for the token, before a body is read; this only says so in /openapi.json.
    told = [Security(HTTPBearer(auto_error=False))]
    for module in (orders, stock, listing, reports, page):
        app.include_router(module.router, dependencies=told)
    _add_health(app)
    app.add_middleware(Door, settings=settings)
    return app


def _add_health(app: FastAPI) -> None:
    # Orders that wait for a stuck database hold every thread that routes share. Whether the process
    # lives, and whether the database takes writes, must be told just then.
    probers = anyio.CapacityLimiter(2)

    @app.get("/healthz", tags=["health"])
    async def healthz() -> dict[str, str]:
        """The process serves; nothing is said about the database."""
        return {"status": "serving", "version": __version__}

    @app.get("/readyz", tags=["health"])
    async def readyz(request: Request) -> JSONResponse:
        """200 when the primary committed a write just now, else 503 and why."""
        look = service_of(request).probe.look
        found = await anyio.to_thread.run_sync(look, limiter=probers)
        body: dict[str, Any] = {"ready": found.ready, "why": found.why}
        return JSONResponse(body, 200 if found.ready else 503)

    @app.get("/metrics", tags=["health"])
    def metrics(parts: Parts) -> Response:
        """For Prometheus."""
        return Response(
            parts.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8"
        )
