"""From an event of the audit to a message that somebody has taken. All but `send_again` is done by the worker alone."""

from datetime import datetime, timedelta
from itertools import product
from time import monotonic
from uuid import NAMESPACE_URL, uuid5

from cryptography.fernet import InvalidToken
from django.db import transaction
from django.utils.timezone import now

from accounts.authority import require
from accounts.models import User
from audit.models import Event
from audit.services import privileged, record
from notifications.outgoing import SECONDS, NoAnswer, post
from webhooks.kinds import body_of, kind_of
from webhooks.models import KEPT, Attempt, Delivery, Notice, Subscription, untold
from webhooks.rules import ATTEMPTS, check_settled, pause_after

# Longer than one attempt can take: if the worker dies in it, the message is sent anew after this.
LEASE = timedelta(seconds=6 * SECONDS)
BATCH = 500


@transaction.atomic
def collect() -> int:
    """Make a notice of each of the next events that were not looked at, and a delivery for each who listens.

    Returns:
        How many events this run looked at; `BATCH` where there may be more.
    """
    at = now()
    notices = [_notice(event) for event in untold(at)[:BATCH]]
    heard = [
        Delivery(subscription=row, notice=notice, next_attempt_at=at)
        for notice, row in product(notices, Subscription.objects.enabled() if notices else ())
        if row.hears(notice)
    ]
    Notice.objects.bulk_create(notices, ignore_conflicts=True)
    Delivery.objects.bulk_create(heard, ignore_conflicts=True)
    return len(notices)


def _notice(event: Event) -> Notice:
    kind = kind_of(event)
    body = body_of(event, kind) if kind else ""
    return Notice(
        pk=uuid5(NAMESPACE_URL, f"{event.pk} {event.canonical}"),
        event_id=event.pk,
        kind=kind or "",
        at=event.at,
        body=body,
    )


def deliver(*, delivery: Delivery) -> bool | None:
    """Claim a delivery that is due, and send it; None if somebody else has it, otherwise whether it was taken.

    Nothing is locked while the other system is waited for.
    """
    at, attempt = now(), delivery.attempts + 1
    if not _claim(delivery, attempt, at):
        return None
    delivery = Delivery.objects.select_related("subscription__owner", "notice").get(pk=delivery.pk)
    began = monotonic()
    outcome, taken = _sent(delivery, at)
    log = Attempt(delivery=delivery, at=at, outcome=outcome, milliseconds=int((monotonic() - began) * 1000))
    _note(log, attempt, taken=taken)
    return taken


def _claim(delivery: Delivery, attempt: int, at: datetime) -> bool:
    due = Delivery.objects.due(at).order_by().values("pk")
    # Whoever waited for the row looks at it anew, but not at the query within; so the claim is told by the count.
    rows = Delivery.objects.filter(pk=delivery.pk, pk__in=due, attempts=delivery.attempts)
    return bool(rows.update(attempts=attempt, next_attempt_at=at + LEASE))


def _sent(delivery: Delivery, at: datetime) -> tuple[str, bool]:
    """Send it; return what came of it, and whether that is success."""
    to, notice = delivery.subscription, delivery.notice
    if delivery.attempts > ATTEMPTS:
        return "worker_died", False
    if not to.owner.is_active:
        return "owner_disabled", False
    try:
        body, secrets = notice.body.encode(), to.secrets(at)
        answer = post(to.url, body, secrets, message_id=notice.message_id, at=at, seconds=SECONDS)
    except NoAnswer as failure:
        return failure.code, False
    except InvalidToken:
        return "secret_unreadable", False
    return f"http_{answer.status}", answer.is_success


@transaction.atomic
def _note(log: Attempt, attempt: int, *, taken: bool) -> None:
    """Keep what came of an attempt. A claim whose lease ran out leaves its line in the log and nothing else."""
    log.save()
    at, pause = now(), pause_after(attempt)
    changes: dict[str, object] = {"last_outcome": log.outcome}
    if taken or pause is None:
        state = Delivery.State.DELIVERED if taken else Delivery.State.GIVEN_UP
        changes |= {"state": state, "settled_at": at}
    else:
        changes["next_attempt_at"] = at + pause
    claimed = Delivery.objects.filter(pk=log.delivery_id, attempts=attempt, state=Delivery.State.PENDING)
    if claimed.update(**changes):
        rows = Subscription.objects.filter(pk=log.delivery.subscription_id)
        if taken:
            rows.exclude(failing_since=None).update(failing_since=None)
        else:
            rows.filter(failing_since=None).update(failing_since=at)


@privileged("delivery.requeued", target="delivery")
def send_again(*, delivery: Delivery, actor: User | None) -> Delivery:
    """Send what was given up, or delivered, once more, with the same id and all its attempts.

    Raises:
        NotAllowed. SendAgainRefused: ``still_waiting``.
    """
    require(actor, "webhooks.change_subscription")
    rows = Delivery.objects.select_for_update(of=("self",)).select_related("subscription", "notice")
    row = rows.get(pk=delivery.pk)
    check_settled(row)
    facts = {"state": row.state, "outcome": row.last_outcome, "attempts": row.attempts}
    row.state, row.attempts, row.next_attempt_at, row.settled_at = Delivery.State.PENDING, 0, now(), None
    row.save(update_fields=["state", "attempts", "next_attempt_at", "settled_at"])
    record("delivery.requeued", actor=actor, target=row, before=facts)
    return row


def forget() -> int:
    """Delete notices that are over and older than `KEPT`, with their deliveries; return how many, `BATCH` at most."""
    over = Notice.objects.filter(at__lt=now() - KEPT).exclude(deliveries__state=Delivery.State.PENDING)
    old = list(over.values_list("pk", flat=True)[:BATCH])
    Notice.objects.filter(pk__in=old).delete()
    return len(old)
