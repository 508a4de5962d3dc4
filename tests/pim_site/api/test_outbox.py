"""The outbox by the API: what this door adds to the console's."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from audit.models import Event
from notifications.models import Message
from roles.models import Role
from tests.api import Program
from tests.factories import UserFactory, holder_of

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def mail(**facts):
    plain = {"kind": "role_ended", "context": "{}", "time_zone": "UTC", "language": "en", "to_address": "a@example.org"}
    return Message.objects.create(**plain | facts)


@pytest.fixture
def given_up():
    facts = {"attempts": 10, "last_error": "SMTPServerDisconnected: Connection unexpectedly closed"}
    return mail(state="failed", user_id=UserFactory().pk, to_name="Ana", **facts)


def test_mail_that_failed_says_why_and_what_comes_next(admin, given_up):
    waiting = mail(attempts=1, last_error="TimeoutError: timed out", next_attempt_at=now() + timedelta(minutes=5))

    found = {row["id"]: row for row in admin.get("outbox", ordering="created_at")[1]["results"]}

    assert found.keys() == {str(given_up.pk), str(waiting.pk)}
    names = ("principal", "to_name", "state", "attempts", "next_attempt_at", "last_error")
    assert [found[str(given_up.pk)][name] for name in names] == [
        *(str(given_up.user_id), "Ana", "failed", 10, None),
        "SMTPServerDisconnected: Connection unexpectedly closed",
    ]
    told = waiting.next_attempt_at.isoformat().replace("+00:00", "Z")
    assert [found[str(waiting.pk)][name] for name in names[2:5]] == ["queued", 1, told]
    assert "context" not in found[str(waiting.pk)]


def test_mail_is_found_by_state_reader_address_and_time(admin, given_up):
    early = mail(created_at=now() - timedelta(days=9), to_address="b@example.org", state="sent")
    week_ago = (now() - timedelta(days=7)).isoformat()

    queries = (
        {"state": "failed"},
        {"principal": str(given_up.user_id)},
        {"to_address": "a@example.org"},
        {"after": week_ago},
        {"before": week_ago},
    )
    found = [[row["id"] for row in admin.get("outbox", **query)[1]["results"]] for query in queries]

    assert found == [*[[str(given_up.pk)]] * 4, [str(early.pk)]]


def test_mail_that_was_given_up_is_sent_again_once(admin, asker, given_up):
    path = f"outbox/{given_up.pk}/send_again"

    status, message = admin.post(path)
    again, refused = admin.post(path)

    assert (status, message["state"], message["attempts"]) == (200, "queued", 0)
    assert (again, refused["code"]) == (422, "not_failed")
    event = Event.objects.get(action="message.requeued", outcome="success")
    assert (event.actor_id, event.facts["after"]) == (asker.pk, {"kind": "role_ended", "to": "a@example.org"})


def test_mail_to_others_is_there_only_for_who_sees_the_outbox(given_up):
    helpdesk, plain = Program(holder_of(Role.HELPDESK_ADMINISTRATOR)), Program(UserFactory())
    path = f"outbox/{given_up.pk}"

    statuses = [(program.get(path)[0], program.post(f"{path}/send_again")[0]) for program in (helpdesk, plain)]

    assert statuses == [(200, 403), (404, 404)]
    assert plain.get("outbox")[1]["results"] == []
