"""What the API answers when it cannot do what was asked: problem details (RFC 9457) with the codes of the rules."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.http import Http404, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.response import Response

from accounts.rules import ChangedMeanwhile, StepUpRefused
from audit.context import current
from audit.services import refusal_code
from pim_site.ascode.document import FileRefused
from pim_site.imports.rows import SHOWN

MEDIA_TYPE = "application/problem+json"
# Refusals that come from how things are at the moment; the same request may be taken later.
CONFLICTS = {"in_use", "name_taken", "last_administrator", "still_running"}


class Refused(exceptions.APIException):
    """A request that is well-formed and cannot be carried out, found before any service was asked."""

    status_code: int = HTTPStatus.UNPROCESSABLE_ENTITY

    def __init__(
        self, detail: str, code: str, *, status: int = HTTPStatus.UNPROCESSABLE_ENTITY, field: str = ""
    ) -> None:
        super().__init__(detail, code)
        self.status_code, self.field = status, field


def problem(status: int, code: str, detail: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """Return the members of a problem: `code` is stable, `detail` is for people, `instance` finds it in the audit."""
    body: dict[str, Any] = {
        "type": f"urn:pim:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
        "instance": f"urn:pim:request:{current().correlation_id}",
    }
    return body | ({"errors": errors} if errors else {})


def problem_response(
    status: int,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
    *,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    body = problem(status, code, detail, errors)
    return JsonResponse(body, status=status, content_type=MEDIA_TYPE, headers=headers)


def refused_response(refusal: Refused) -> HttpResponse:
    """Return the answer to a refusal, for views outside the framework."""
    headers = {"WWW-Authenticate": "Bearer"} if refusal.status_code == HTTPStatus.UNAUTHORIZED else {}
    return problem_response(*_of_refused(refusal), headers=headers)


def not_allowed(*methods: str) -> HttpResponse:
    allowed = ", ".join(methods)
    text = _("What there is here is asked by %(methods)s.") % {"methods": allowed}
    return problem_response(405, "method_not_allowed", text, headers={"Allow": allowed})


def on_exception(exception: Exception, context: dict[str, Any]) -> Response | None:
    """Return the answer to an exception of a view; None for those that are our own fault (500)."""
    described = _described(exception)
    if described is None:
        return None
    status, code, detail, errors = described
    headers = _headers(exception)
    return Response(problem(status, code, detail, errors), status=status, headers=headers, content_type=MEDIA_TYPE)


def _described(exception: Exception) -> tuple[int, str, str, list[dict[str, str]]] | None:
    if isinstance(exception, FileRefused):
        return 422, "file_refused", _("Nothing of the file was put in force."), list(_errors_of_file(exception))
    if isinstance(exception, ValidationError):
        code = "name_taken" if refusal_code(exception) == "unique" else refusal_code(exception)
        return status_of(exception, code), code, " ".join(exception.messages), list(_errors_of_refusal(exception))
    if isinstance(exception, PermissionDenied):
        return 403, refusal_code(exception), str(exception) or _("This is not allowed."), []
    if isinstance(exception, Http404):
        return 404, "not_found", _("There is nothing here, or nothing that you may see."), []
    if isinstance(exception, exceptions.ValidationError):
        return (
            400,
            "invalid",
            _("The request does not have the form that is described for it."),
            list(_flat(exception.get_full_details())),
        )
    if isinstance(exception, Refused):
        return _of_refused(exception)
    if isinstance(exception, exceptions.APIException):
        return exception.status_code, str(exception.get_codes()), str(exception.detail), []
    if isinstance(exception, RequestDataTooBig):
        return 413, "too_large", _("The body is too large."), []
    if isinstance(exception, SuspiciousOperation):
        return 400, "invalid", _("The request does not have the form that is described for it."), []
    return None


def _of_refused(refusal: Refused) -> tuple[int, str, str, list[dict[str, str]]]:
    code, detail = str(refusal.get_codes()), str(refusal.detail)
    errors = [{"field": refusal.field, "code": code, "detail": detail}] if refusal.field else []
    return refusal.status_code, code, detail, errors


def status_of(refusal: ValidationError, code: str) -> int:
    """Return the status of a service's refusal."""
    if isinstance(refusal, ChangedMeanwhile) or code == "changed_meanwhile":
        return HTTPStatus.PRECONDITION_FAILED
    if code == "throttled":
        return HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(refusal, StepUpRefused):
        return HTTPStatus.FORBIDDEN
    if code.startswith("already_") or code in CONFLICTS:
        return HTTPStatus.CONFLICT
    return HTTPStatus.UNPROCESSABLE_ENTITY


def _errors_of_refusal(refusal: ValidationError) -> Iterator[dict[str, str]]:
    if not hasattr(refusal, "error_dict"):
        return
    for field, errors in refusal.error_dict.items():
        name = "" if field == NON_FIELD_ERRORS else field
        for error in errors:
            yield {"field": name, "code": error.code or "invalid", "detail": " ".join(error.messages)}


def _errors_of_file(refusal: FileRefused) -> Iterator[dict[str, str]]:
    """Yield what is wrong with each of its lines by its number: "csv.3"."""
    for fault in refusal.faults[:SHOWN]:
        name = f"csv.{fault.line}" if fault.line else "csv"
        yield {"field": name, "code": "file_refused", "detail": fault.text}


def _flat(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Yield each error of nested fields by its path: "stages.0.quorum"."""
    if isinstance(details, dict) and set(details) == {"message", "code"} and isinstance(details["code"], str):
        yield {"field": path, "code": details["code"], "detail": str(details["message"])}
        return
    for key, value in details.items() if isinstance(details, dict) else _numbered(details):
        yield from _flat(value, path if key in ("", "non_field_errors") else f"{path}.{key}".strip("."))


def _numbered(details: list[Any]) -> Iterator[tuple[str, Any]]:
    """Errors of one field stand in a list; so do those of the items of a list, nothing where there is none."""
    for number, each in enumerate(details):
        is_error = isinstance(each, dict) and set(each) == {"message", "code"}
        yield "" if is_error else str(number), each


def _headers(exception: Exception) -> dict[str, str]:
    headers = {}
    if header := getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if (wait := getattr(exception, "wait", None)) is not None:
        headers["Retry-After"] = str(int(wait))
    return headers
