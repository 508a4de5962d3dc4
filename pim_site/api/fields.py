"""Fields of the API: texts, moments, lengths of time, and things that are named by their id."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, TypeGuard
from uuid import UUID

from django.db.models import Model, QuerySet, TextChoices, UUIDField
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework import serializers

from accounts.models import User

from .problems import Refused

# Moments beyond these are of no use here, and some of them have no name in UTC.
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)
TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"
LENGTH = r"^P([0-9]{1,3}D)?(T([0-9]{1,4}H)?([0-9]{1,4}M)?([0-9]{1,5}S)?)?$"
_LENGTH = re.compile(LENGTH)
# As this API writes them. What Python reads besides (braces, weeks, digits of any script) others would read otherwise.
_ID = re.compile("-".join(f"[0-9a-fA-F]{{{digits}}}" for digits in (8, 4, 4, 4, 12)))
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(_DAY.pattern + r"[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})")
# Neither "P" nor "PT" nor "P1DT" says a length.
LENGTH_SHOWN = (
    r"^P([0-9]{1,3}D|([0-9]{1,3}D)?T([0-9]{1,4}H([0-9]{1,4}M)?([0-9]{1,5}S)?|[0-9]{1,4}M([0-9]{1,5}S)?|[0-9]{1,5}S))$"
)


def is_id(value: object) -> TypeGuard[str]:
    """Tell whether this is an id in the form in which ids are answered."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


class Input(serializers.Serializer[Any]):
    """A body: what is not declared is refused, so that nobody believes to have set what was passed over."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(set(data) - set(self.fields))):
            error = serializers.ErrorDetail(_("There is no such field here."), "unknown_field")
            raise serializers.ValidationError({name: [error] for name in unknown})
        return super().to_internal_value(data)

    @property
    def actor(self) -> User:
        user: User = self.context["request"].user
        return user


class Text(serializers.CharField):
    """A text as it was typed: whether it says anything is for the service to judge."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trim_whitespace": False, "max_length": 2000, **kwargs})

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class TimeOfDay(serializers.TimeField):
    """A time of day without an offset: the zone that it is of stands beside it, so it is no `time` of RFC 3339."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="%H:%M:%S", **kwargs)

    def to_internal_value(self, value: Any) -> Any:
        if not (isinstance(value, str) and re.fullmatch(TIME_OF_DAY, value)):
            self.fail("invalid", format="hh:mm:ss")
        return super().to_internal_value(value)


def once_known(choices: type[TextChoices]) -> serializers.ChoiceField:
    """Return a field for one of these, or for nothing as long as it is not known.

    Of a model's own choices that may be blank, the description would not say so.
    """
    return serializers.ChoiceField([*choices.choices, ("", gettext_lazy("not known yet"))], read_only=True)


class Coded(Input):
    """What takes a one-time code, where one is asked for."""

    code = Text(max_length=40, required=False, allow_blank=True, default="")
    app = Text(
        max_length=64,
        required=False,
        help_text="Which authenticator app shows the code, by its name; the first one if not said.",
    )


class Day(serializers.DateField):
    """A day of the calendar: "2026-11-21"."""

    def to_internal_value(self, value: Any) -> Any:
        if not (isinstance(value, str) and _DAY.fullmatch(value)):
            self.fail("invalid", format="YYYY-MM-DD")
        return super().to_internal_value(value)


class Moment(serializers.DateTimeField):
    """A moment with its offset from UTC; answered in UTC. Without an offset nobody knows when it is."""

    def to_internal_value(self, value: Any) -> Any:
        parsed = self._parsed(value)
        if parsed is None:
            return self.fail("invalid", format="2026-11-21T18:40:00Z")
        try:
            moment = parsed.astimezone(UTC)
        except (OverflowError, ValueError):
            moment = EARLIEST - timedelta(1)
        if not EARLIEST <= moment < LATEST:
            raise Refused(_("This is too long ago, or too far ahead."), "schedule_invalid", field=self.field_name or "")
        return moment

    def _parsed(self, value: Any) -> datetime | None:
        try:
            is_one = isinstance(value, str) and _MOMENT.fullmatch(value)
            return parse_datetime(value.upper()) if is_one else None
        except ValueError:
            return None


class Length(serializers.DurationField):
    """A length of time as ISO 8601 writes it: "PT2H", "P1DT30M"."""

    def to_internal_value(self, value: Any) -> Any:
        found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
        if found is None or value.endswith(("P", "T")):
            return self.fail("invalid", format="PT2H, P1DT30M")
        days, hours, minutes, seconds = (int((found[number] or "0_")[:-1]) for number in (1, 3, 4, 5))
        return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)

    def to_representation(self, value: timedelta) -> str:
        return spelled(value)


def spelled(length: timedelta) -> str:
    """Return a length as ISO 8601 writes it, whole seconds."""
    hours, rest = divmod(length.seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    parts = ((hours, "H"), (minutes, "M"), (seconds, "S"))
    time = "".join(f"{number}{letter}" for number, letter in parts if number)
    days = f"{length.days}D" if length.days else ""
    return f"P{days}{'T' + time if time else ''}" if days or time else "PT0S"


class Id(serializers.UUIDField):
    def to_internal_value(self, data: Any) -> Any:
        if not is_id(data):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


class Named(Id):
    """The id of something that is there and that the asker may see; read as the thing itself.

    Args:
        among: returns the rows that it may be one of, for a person at this moment.
    """

    def __init__(self, among: Callable[[User], QuerySet[Any]], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.among = among

    def to_internal_value(self, data: Any) -> Any:
        key = super().to_internal_value(data)
        found = self.among(self.context["request"].user).filter(pk=key).first()
        if found is None:
            text = _("There is nothing with this id, or nothing that you may see.")
            raise Refused(text, "not_found", status=404, field=self.field_name or "")
        return found

    def to_representation(self, value: Model | UUID) -> str:
        return str(getattr(value, "pk", value))


class Reference(serializers.Field[Any, Any, Any, Any]):
    """A related thing: its id, or all of it where the address says `expand=` with the name of this field."""

    def __init__(self, serializer: type[serializers.BaseSerializer[Any]], **kwargs: Any) -> None:
        super().__init__(read_only=True, **kwargs)
        self.serializer = serializer

    def get_attribute(self, instance: Any) -> Any:
        if self.is_expanded:
            return super().get_attribute(instance)
        return attrgetter(f"{self.source}_id")(instance)

    def to_representation(self, value: Any) -> Any:
        if not self.is_expanded:
            return str(value)
        return self.serializer(value, context={**self.context, "expand": frozenset()}).data

    @property
    def is_expanded(self) -> bool:
        return self.field_name in self.context.get("expand", ())


class LengthSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # registered by being made
    target_class = Length

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": LENGTH_SHOWN, "maxLength": 24}


class TimeOfDaySchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # as above
    target_class = TimeOfDay

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        return {"type": "string", "pattern": TIME_OF_DAY}


class ReferenceSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # as above
    target_class = Reference

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        component: ResolvedComponent = auto_schema.resolve_serializer(self.target.serializer, direction)
        key = {"type": "string"}
        if isinstance(self.target.serializer.Meta.model._meta.pk, UUIDField):
            key["format"] = "uuid"
        return {"oneOf": [key, component.ref]}
