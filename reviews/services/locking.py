"""The lock of a review: before its items, and these before people, groups and assignments."""

from reviews.models import Instance


def locked(instance: Instance) -> Instance:
    return Instance.objects.select_for_update(of=("self",)).described().get(pk=instance.pk)
