"""`answer_errors`: what is raised behind a route, as an answer with its status and a sentence."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from monailabel.interfaces.exception import MONAILabelException
from starlette.exceptions import HTTPException

from mammosynth.atomic import is_of_the_disk
from mammosynth.errors import MammoSynthError
from monailabel_app.errors import http_status
from monailabel_app.gateway.busy import BusyError


def answer_errors(gateway: FastAPI) -> None:
    """Have an app answer every error that a client can act upon; others go on, see `answers.LastResort`."""

    def answer(status: int, detail: str) -> JSONResponse:
        return JSONResponse({"detail": detail}, status_code=status)

    @gateway.exception_handler(BusyError)
    def busy(request: Request, error: BusyError) -> JSONResponse:
        headers = {"Retry-After": str(error.retry_after_s)}
        return JSONResponse({"detail": str(error)}, error.status, headers)

    @gateway.exception_handler(MammoSynthError)
    def known(request: Request, error: MammoSynthError) -> JSONResponse:
        return answer(http_status(error), str(error))

    @gateway.exception_handler(MONAILabelException)
    def of_platform(request: Request, error: MONAILabelException) -> JSONResponse:
        return answer(400, str(error.msg))

    @gateway.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        found = [(".".join(map(str, each["loc"][1:])) or "the body", each["msg"]) for each in error.errors()]
        problems = "; ".join(f"{where}: {message}" for where, message in found)
        return answer(422, problems or "the request body is not what is expected; see /openapi.json")

    @gateway.exception_handler(HTTPException)
    def of_framework(request: Request, error: HTTPException) -> JSONResponse:
        if is_of_the_disk(error.__cause__):  # while it takes in a body, which it then calls a bad one
            return of_system(request, error.__cause__)
        return answer(error.status_code, str(error.detail))

    @gateway.exception_handler(OSError)
    def of_system(request: Request, error: OSError) -> JSONResponse:
        if not is_of_the_disk(error):
            raise error
        return answer(507, f"the server's disk cannot be written on ({error.strerror}); make room, then try again")
