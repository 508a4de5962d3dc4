"""What a body may be: JSON, an object, no deeper than anything that is asked here, each field once."""

import json
from typing import Any, NoReturn

from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from .problems import Refused


class BoundedJSONParser(JSONParser):
    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        if str(media_type).partition(";")[0].strip().lower() != self.media_type:  # "*/*" would do for the framework
            raise not_json()
        try:
            parsed = loads(stream.read())
        except RecursionError as error:
            raise ParseError(_("This is nested too deeply.")) from error
        except ValueError as error:
            raise ParseError(_("This is no JSON: %(error)s") % {"error": error}) from error
        if not isinstance(parsed, dict):
            raise ParseError(_("The body must be a JSON object."))
        return parsed


def not_json() -> Refused:
    text = _("The body must be JSON in UTF-8: Content-Type: application/json.")
    return Refused(text, "unsupported_media_type", status=415)


def loads(body: bytes) -> Any:
    """Read JSON in UTF-8.

    Raises:
        ValueError: it is none, says a number that JSON does not know, or a field twice. RecursionError.
    """
    return json.loads(body.decode(), object_pairs_hook=_each_once, parse_constant=_no_number)


def _each_once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a field that is there twice: one of the two would count, and who reads it before us may take the other."""
    named = dict(fields)
    if len(named) < len(fields):
        raise ValueError("a field is there twice")
    return named


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def check_length(request: HttpRequest) -> None:
    """Refuse a body that comes in pieces: Django takes it for none, so what it says would be passed over.

    Raises:
        Refused: ``length_required``.
    """
    if "Transfer-Encoding" in request.headers:
        text = _("Say how long the body is: Content-Length. One in pieces is not read.")
        raise Refused(text, "length_required", status=411)
