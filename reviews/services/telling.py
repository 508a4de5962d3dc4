"""What mails about a review say."""

from typing import Any

from accounts.links import link
from reviews.models import Instance


def facts_for_mail(instance: Instance) -> dict[str, Any]:
    definition = instance.definition
    url = link("reviews:review-detail", instance.pk)
    return {"review": definition.name, "about": definition.description, "url": url}
