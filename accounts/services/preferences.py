"""What people choose for themselves about the mail that they get."""

from django.db import transaction

from accounts.models import User
from accounts.rules import check_seen
from audit.services import record


@transaction.atomic
def choose_digests(
    *, actor: User, daily_digest: bool | None = None, weekly_digest: bool | None = None, seen: str = ""
) -> User:
    """Have one's mail that may wait come once a day, or each at once. What is held already comes with its digest.

    Which mail may wait, `notifications.rules.MAY_WAIT` says; nobody can choose to get less of it. The mail that sums up
    the week is wanted or not. None leaves either as it is.

    Args:
        seen: as `accounts.rules.check_seen` takes it, of `digest_facts`.

    Raises:
        ChangedMeanwhile.
    """
    person = User.objects.select_for_update(of=("self",), no_key=True).get(pk=actor.pk)
    before = digest_facts(person)
    check_seen(before, seen)
    wanted = {"daily_digest": daily_digest, "weekly_digest": weekly_digest}
    after = {name: value for name, value in wanted.items() if value not in (None, before[name])}
    if not after:
        return person
    for name, value in after.items():
        setattr(person, name, value)
    person.save(update_fields=list(after))
    former = {name: before[name] for name in after}
    record("mail_preference.changed", actor=actor, target=person, subject=person, before=former, after=after)
    return person


def digest_facts(person: User) -> dict[str, bool]:
    """Return what they chose."""
    return {"daily_digest": person.daily_digest, "weekly_digest": person.weekly_digest}
