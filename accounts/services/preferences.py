"""What people choose for themselves about the mail that they get."""

from django.db import transaction

from accounts.models import User
from audit.services import record


@transaction.atomic
def choose_digest(*, actor: User, daily_digest: bool) -> None:
    """Have one's mail that may wait come once a day, or each at once. What is held already comes with its digest.

    Which mail may wait, `notifications.rules.MAY_WAIT` says; nobody can choose to get less.
    """
    person = User.objects.select_for_update(of=("self",), no_key=True).get(pk=actor.pk)
    if person.daily_digest == daily_digest:
        return
    facts = {"daily_digest": person.daily_digest}, {"daily_digest": daily_digest}
    person.daily_digest = daily_digest
    person.save(update_fields=["daily_digest"])
    record("mail_preference.changed", actor=actor, target=person, subject=person, before=facts[0], after=facts[1])
