"""What those who run the server ask it: is it alive, can it work, what has it counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

import mammosynth
from monailabel_app.gateway.metrics import Metrics
from monailabel_app.gateway.readiness import OK, Readiness
from monailabel_app.identity import SCOPE_KEY

_SERVICE_UNAVAILABLE = 503


def create_operations(readiness: Readiness, metrics: Metrics, worker: Callable[[], dict[str, str] | None]) -> APIRouter:
    """`/health`, `/ready` and `/metrics`.

    Args:
        readiness: Of the server's parts.
        metrics: What it has counted.
        worker: What the worker does; None if there is none.
    """
    router = APIRouter()

    @router.get("/health")
    async def health(request: Request) -> dict[str, Any]:
        """Answers as soon as requests are taken, also while every thread is busy; and whether jobs are run.

        Who has not signed in learns no more than that.
        """
        state = worker()
        status = "ok" if state is None or state["state"] in ("running", "waiting") else "degraded"
        if SCOPE_KEY not in request.scope:
            return {"status": status}
        return {"status": status, "version": mammosynth.__version__, "worker": state}

    @router.get("/ready")
    def ready() -> JSONResponse:
        """200 while new work can be done here, otherwise 503; and every part by name."""
        parts = readiness.state()
        is_ready = all(state == OK for state in parts.values())
        return JSONResponse({"ready": is_ready, **parts}, 200 if is_ready else _SERVICE_UNAVAILABLE)

    @router.get("/metrics")
    def counted() -> Response:
        """Jobs, seconds, queue, requests and refusals, for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return router
