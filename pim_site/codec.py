"""In which letters requests are read. Looked at before Django does, which fails before any middleware of its own."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

API = "/api/"
UNREADABLE = "application/octet-stream"


def utf8_only(application: "WSGIApplication") -> "WSGIApplication":
    """Answer 415 to whoever names another codec than UTF-8, in which pages are sent and browsers answer.

    Django takes any codec of Python's: some make half characters, which no database keeps, others no text at all.
    The API says so itself, as it says all that it refuses: it is shown a body of a kind that it does not read.
    """

    def checked(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if codec_of(environ.get("CONTENT_TYPE", "")) == "utf-8":
            return application(environ, start_response)
        if environ.get("PATH_INFO", "").startswith(API):
            return application(environ | {"CONTENT_TYPE": UNREADABLE}, start_response)
        status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        start_response(f"{status.value} {status.phrase}", [("Content-Length", "0")])
        return []

    return checked


def codec_of(content_type: str) -> str:
    """Return the codec that a Content-Type names, "utf-8" where it names none, and nothing where it is not readable."""
    try:
        _kind, named = parse_header_parameters(content_type)
    except ValueError:
        return ""
    return (named.get("charset") or "utf-8").lower()
