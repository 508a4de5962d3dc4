"""What people choose for themselves about the mail that they get."""

from django.db import transaction

from accounts.models import User
from audit.services import record


@transaction.atomic
def choose_digests(*, actor: User, daily_digest: bool, weekly_digest: bool | None = None) -> None:
    """Have one's mail that may wait come once a day, or each at once. What is held already comes with its digest.

    Which mail may wait, `notifications.rules.MAY_WAIT` says; nobody can choose to get less of it. The mail that sums up
    the week is wanted or not; None leaves that as it is.
    """
    person = User.objects.select_for_update(of=("self",), no_key=True).get(pk=actor.pk)
    wanted = {"daily_digest": daily_digest, "weekly_digest": weekly_digest}
    after = {name: value for name, value in wanted.items() if value not in (None, getattr(person, name))}
    if not after:
        return
    before = {name: getattr(person, name) for name in after}
    for name, value in after.items():
        setattr(person, name, value)
    person.save(update_fields=list(after))
    record("mail_preference.changed", actor=actor, target=person, subject=person, before=before, after=after)
