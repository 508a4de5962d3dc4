"""What mails about a review say."""

from typing import Any

from django.utils.translation import gettext as _

from accounts.links import link
from notifications.calendar import event
from reviews.models import Instance


def facts_for_mail(instance: Instance) -> dict[str, Any]:
    definition = instance.definition
    url = link("reviews:review-detail", instance.pk)
    return {"review": definition.name, "about": definition.description, "url": url}


def facts_for_asked(instance: Instance) -> dict[str, Any]:
    """Return what is said to those who are asked: by when, and that for their calendar."""
    facts, definition, due = facts_for_mail(instance), instance.definition, instance.stage_ends_at
    assert due is not None  # noqa: S101 (whoever is asked is asked in a stage)
    name = _("Review: %(name)s") % {"name": definition.name}
    made_at = instance.stage_began_at or instance.began_at
    calendar = event(uid=instance.pk, made_at=made_at, starts_at=due, name=name, url=facts["url"])
    return facts | {"words": definition.words, "expires_at": due, "calendar": calendar}
