"""One shape for every refusal, and what each outcome of the write path is in HTTP."""

from typing import Any
from uuid import UUID

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from cims.store import NotAvailable, Refused

RETRY_AFTER_SECONDS = 1
STATUS = {"IM001": 422, "IM002": 404, "IM005": 409, "IM006": 409, "IM007": 409}
CODE = {
    "IM001": "key-reused",
    "IM002": "unknown-thing",
    "IM003": "lines",
    "IM004": "bad-value",
    "IM005": "state",
    "IM006": "short",
    "IM007": "sequence",
}


class Problem(Exception):  # noqa: N818 - the word of HTTP's own standard
    """An answer that is not the thing asked for."""

    def __init__(self, status: int, code: str, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message, **more}}


def idempotency_key(text: str | None) -> UUID:
    """The header of every write: a UUID the client made and keeps."""
    if text is None:
        raise Problem(400, "no-key", "send Idempotency-Key: a UUID, the same for each retry")
    try:
        return UUID(text.strip().strip('"'))
    except ValueError as error:
        raise Problem(400, "bad-key", "Idempotency-Key is not a UUID") from error


def install(app: FastAPI) -> None:
    """Turn everything that may be raised into the one shape."""

    @app.exception_handler(Problem)
    def problem(_: Request, error: Problem) -> JSONResponse:
        return JSONResponse(error.body, error.status)

    @app.exception_handler(Refused)
    def refused(_: Request, error: Refused) -> JSONResponse:
        status = STATUS.get(error.sqlstate, 422)
        return _error(status, CODE.get(error.sqlstate, "bad-value"), str(error))

    @app.exception_handler(NotAvailable)
    def not_available(_: Request, error: NotAvailable) -> JSONResponse:
        return unavailable(maybe_done=error.maybe_done)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # Only where and what: the input itself is not repeated.
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if where == "body" and "json" not in request.headers.get("content-type", ""):
            return _error(422, "invalid", "body: send JSON, with Content-Type: application/json")
        return _error(422, "invalid", f"{where}: {first['msg']}"[:300])

    @app.exception_handler(HTTPException)
    def other(_: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, "http", str(error.detail)[:300])


def unavailable(*, maybe_done: bool) -> JSONResponse:
    """503: not answered; the same key and body again is right in both cases."""
    code = "unknown" if maybe_done else "unavailable"
    message = (
        "it may have been done: send the same key and body again"
        if maybe_done
        else "nothing was done: send the same key and body again"
    )
    answer = _error(503, code, message)
    answer.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return answer


def _error(status: int, code: str, message: str, **more: Any) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message, **more}}, status)
