"""Lists: which rows, in which order, a page at a time, with what beside them. What is not offered is refused."""

from datetime import datetime
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db import DataError, models
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import filters, serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

from .fields import Moment, Reference, is_id
from .problems import Refused

PAGE, LONGEST_PAGE = 50, 200
EXPANDING = ("list", "retrieve")  # the actions that answer rows to a GET, and can have related things beside them


@extend_schema_field({"type": "boolean"})
class YesNo(django_filters.TypedChoiceFilter):
    """`true` or `false`; django-filter's own takes any other word for neither, and shows all rows."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        choices = [("true", "true"), ("false", "false")]
        super().__init__(*args, choices=choices, coerce=lambda text: text == "true", **kwargs)


class _MomentField(forms.DateTimeField):
    def to_python(self, value: Any) -> datetime | None:
        try:
            return Moment().to_internal_value(value) if value else None
        except serializers.ValidationError as error:
            raise forms.ValidationError(_("Say the offset too, such as 2026-11-21T18:40:00Z."), "invalid") from error


class MomentFilter(django_filters.IsoDateTimeFilter):
    """Takes what `Moment` takes; django-filter's own takes a day alone, and what has no offset."""

    field_class = _MomentField


class _IdField(forms.UUIDField):
    def to_python(self, value: Any) -> Any:
        if value and not is_id(value):
            raise forms.ValidationError(self.error_messages["invalid"], "invalid")
        return super().to_python(value)


class RowFilter(django_filters.FilterSet):
    # A related thing is asked for by its id alone: a choice among all would tell which there are.
    FILTER_DEFAULTS = {
        **django_filters.FilterSet.FILTER_DEFAULTS,
        models.BooleanField: {"filter_class": YesNo},
        models.ForeignKey: {"filter_class": django_filters.UUIDFilter},
    }

    @classmethod
    def get_filters(cls) -> Any:
        filters = super().get_filters()
        for each in filters.values():
            if isinstance(each, django_filters.UUIDFilter):
                each.field_class = _IdField
        return filters


class Pages(CursorPagination):
    """Cursors, so that rows which come and go meanwhile neither repeat nor skip others."""

    page_size = PAGE
    page_size_query_param = "page_size"
    max_page_size = LONGEST_PAGE

    def decode_cursor(self, request: Request) -> Any:
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise _no_cursor() from error
        if cursor is not None and not (cursor.position or cursor.offset or cursor.reverse):
            raise _no_cursor()  # whatever it says, the first page has none
        return cursor

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> Any:
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValidationError, ValueError, OverflowError, DataError) as error:
            if self.cursor_query_param not in request.query_params:
                raise
            raise _no_cursor() from error  # its position is none that a row can have

    def get_page_size(self, request: Request) -> int:
        text = request.query_params.get("page_size")
        if text is None:
            return PAGE
        if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= LONGEST_PAGE):
            raise refused("page_size", _("From 1 to %(limit)d.") % {"limit": LONGEST_PAGE})
        return int(text)

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == "page_size":
                parameter["schema"] = {"type": "integer", "minimum": 1, "maximum": LONGEST_PAGE, "default": PAGE}
        return parameters


def _no_cursor() -> Refused:
    return Refused(_("This is no cursor of ours. Take the one of the page before."), "cursor_invalid", field="cursor")


class Ordering(filters.OrderingFilter):
    """`ordering=`: one column that the view offers, with a minus for downwards."""

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: Any) -> list[str]:
        asked = request.query_params.get("ordering")
        if asked is None:
            return list(view.ordering)
        if asked not in offered_orders(view):
            raise refused("ordering", _("One of: %(names)s.") % {"names": ", ".join(offered_orders(view))})
        return [asked, "pk"]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        schema = {"type": "string", "enum": offered_orders(view)}
        return [{"name": "ordering", "required": False, "in": "query", "schema": schema}]


def offered_orders(view: Any) -> list[str]:
    return [f"{sign}{name}" for name in view.ordering_fields for sign in ("", "-")]


def refused(parameter: str, text: str, code: str = "invalid") -> serializers.ValidationError:
    return serializers.ValidationError({parameter: [serializers.ErrorDetail(text, code)]})


def expanded(request: Request, serializer: type[serializers.BaseSerializer[Any]]) -> frozenset[str]:
    """Return the related things that are asked for beside each row.

    Raises:
        ValidationError: one that the rows do not have.
    """
    text = request.query_params.get("expand")
    asked = frozenset(text.split(",") if text is not None else ())
    if unknown := asked - set(expandable(serializer)):
        names = ", ".join(f"“{name}”" for name in sorted(unknown))
        raise refused("expand", _("There is nothing of this name: %(names)s.") % {"names": names})
    return asked


def expandable(serializer: type[serializers.BaseSerializer[Any]]) -> list[str]:
    fields = getattr(serializer, "_declared_fields", {})
    return [name for name, field in fields.items() if isinstance(field, Reference)]


def check_parameters(request: Request, offered: set[str]) -> None:
    """Refuse parameters that mean nothing here, those without a value, and those that are there twice.

    Whoever misspells a filter, or fills in nothing (or blanks), would see all rows for the filtered ones.
    """
    if unknown := sorted(set(request.query_params) - offered):
        error = serializers.ErrorDetail(_("There is no such parameter here."), "unknown_parameter")
        raise serializers.ValidationError({name: [error] for name in unknown})
    if empty := next((name for name, value in request.query_params.items() if not value.strip()), ""):
        raise Refused(_("Leave out what you do not ask for."), "parameter_empty", field=empty)
    check_once(request.query_params)


def check_once(parameters: QueryDict) -> None:
    """Refuse two values for one parameter, of which only one would count.

    Raises:
        Refused: ``parameter_repeated``.
    """
    for name, values in parameters.lists():
        if len(values) > 1:
            text = _("Ask one value at a time; of two only one would count.")
            raise Refused(text, "parameter_repeated", status=400, field=name)
