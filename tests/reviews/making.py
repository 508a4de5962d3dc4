"""Series and reviews for tests, made through the services."""

from datetime import UTC, datetime, time, timedelta

import time_machine
from django.utils.timezone import now

from reviews import services
from reviews.models import Definition, Instance
from reviews.rules import SeriesTerms, StageTerms
from tests.factories import RoleFactory, UserFactory


def stage(reviewers="named", days=10, **terms):
    if reviewers == "named":
        terms.setdefault("people", (UserFactory(),))
    else:
        terms.setdefault("fallback", (UserFactory(),))
    return StageTerms(reviewers=reviewers, days=days, **terms)


def terms(*stages, **values):
    """A series over one role, that begins today at midnight in UTC and asks one named person for ten days."""
    if values.get("covers", "roles") == "roles":
        values.setdefault("roles", (RoleFactory(),))
    return SeriesTerms(
        **{
            "name": "Quarter",
            "first_on": now().date(),
            "begins_at": time(0),
            "reason_required": False,
            "stages": stages or (stage(),),
        }
        | values
    )


def series(*stages, **values):
    return services.define(actor=None, terms=terms(*stages, **values))


def begun(definition: Definition) -> Instance:
    """Its next review, open."""
    instance = services.prepare(definition=definition)
    assert instance is not None
    while services.take_in(instance=instance):
        pass
    return Instance.objects.get(pk=instance.pk)


def later(instance, **past):
    """A clock at so much after the review began."""
    return time_machine.travel(instance.began_at + timedelta(**past), tick=False)


def ended(instance):
    """The review, after the time of its stage is over and the worker has noted it."""
    with time_machine.travel(instance.stage_ends_at, tick=False):
        services.advance(instance=instance)
    return Instance.objects.get(pk=instance.pk)


def say(instance, actor, verdict, *items, justification=""):
    keys = [item.pk for item in items or instance.items.asked_of(actor)]
    return services.answer(instance=instance, items=keys, actor=actor, verdict=verdict, justification=justification)


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)
