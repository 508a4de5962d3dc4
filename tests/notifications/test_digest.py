"""What may wait comes once a day in one mail: each message in one digest, late rather than never, and no empty one."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.utils.timezone import now

from accounts.models import User
from accounts.tasks import digest_due
from notifications.mail import render
from notifications.models import Message
from notifications.services import LONGEST_DIGEST, queue, suppress
from notifications.snapshot import decode
from pim_site.duties import tasks_due

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MORNING = datetime(2026, 11, 22, 6, tzinfo=UTC)  # seven o'clock in Berlin
TASK = "accounts.tasks.digest_due"


@pytest.fixture(autouse=True)
def clock(time_machine):
    time_machine.move_to(NOON, tick=False)
    return time_machine


@pytest.fixture
def reader(make_person):
    return make_person(daily_digest=True, time_zone="Europe/Berlin")


def activated(*to, kind="role_activated", audience="admin", **content):
    context = {"audience": audience, "user": "Kim", "role": "Reader", "url": "https://pim.example/r/1"} | content
    with transaction.atomic():
        return queue(kind, to=to, context=context)


def states():
    return list(Message.objects.order_by("created_at", "id").values_list("kind", "state"))


def test_what_may_wait_is_held_until_the_morning_of_who_wants_a_digest(reader, make_person):
    messages = activated(reader, make_person("kim"), "soc@example.org")
    assert [(each.to_address, each.state, each.next_attempt_at) for each in messages] == [
        ("ana@example.org", "held", MORNING),
        ("kim@example.org", "queued", NOON),
        ("soc@example.org", "queued", NOON),
    ]


@pytest.mark.parametrize(
    "content", [{"kind": "approval_asked", "audience": "approver"}, {"kind": "role_ended"}, {"calendar": "BEGIN:…"}]
)
def test_what_is_critical_or_has_a_file_is_not_held(reader, content):
    [message] = activated(reader, **{"audience": "requestor"} | content)
    assert message.state == "queued"


def test_digest_says_what_was_held_and_only_in_the_morning(reader, clock):
    activated(reader)
    clock.move_to(NOON + timedelta(hours=1), tick=False)
    activated(reader, kind="assignment_removed", role="Operator")
    clock.move_to(MORNING - timedelta(seconds=1), tick=False)
    assert (digest_due(), tasks_due(now()) & {TASK}) == (0, set())
    clock.move_to(MORNING, tick=False)
    assert tasks_due(now()) & {TASK} == {TASK}

    assert [digest_due(), digest_due()] == [1, 0]

    assert sorted(states()) == [
        ("assignment_removed", "gathered"),
        ("digest", "queued"),
        ("role_activated", "gathered"),
    ]
    digest = Message.objects.get(kind="digest")
    words = render(digest)
    assert (digest.to_address, words.subject) == ("ana@example.org", "PIM: Your digest: 2 mails")
    first = "21 Nov 2026, 13:00 CET\nKim holds Reader\nhttps://pim.example/r/1\n"
    assert first in words.text
    assert words.text.index(first) < words.text.index("21 Nov 2026, 14:00 CET\n")
    assert words.html.count('href="https://pim.example/r/1"') == 2


def test_digest_after_an_outage_has_all_mornings_in_one(reader, clock):
    for day in range(3):
        clock.move_to(NOON + timedelta(days=day), tick=False)
        activated(reader)
    clock.move_to(NOON + timedelta(days=9), tick=False)
    assert digest_due() == 1
    assert decode(Message.objects.get(kind="digest").context)["count"] == 3


def test_digest_that_dies_leaves_all_for_the_next_time(reader, clock, monkeypatch):
    activated(reader)
    clock.move_to(MORNING, tick=False)
    with monkeypatch.context() as patch:
        patch.setattr("notifications.services.queue", lambda *args, **kwargs: 1 / 0)
        assert digest_due() == 0
    assert states() == [("role_activated", "held")]
    assert digest_due() == 1


def test_digest_of_nothing_is_not_sent(reader, clock):
    with transaction.atomic():
        [message] = activated(reader)
        message.about_id = reader.pk
        message.save()
        suppress("role_activated", about=reader)
    clock.move_to(MORNING, tick=False)
    assert digest_due() == 0
    assert states() == [("role_activated", "suppressed")]


def test_digest_of_who_is_disabled_meanwhile_is_not_sent(reader, clock):
    activated(reader)
    User.objects.update(is_active=False)
    clock.move_to(MORNING, tick=False)
    assert digest_due() == 0
    assert states() == [("role_activated", "suppressed")]


def test_digest_names_by_its_kind_what_cannot_be_read(reader, clock):
    activated(reader)
    Message.objects.update(context='{"__cause__": "broken"}')
    clock.move_to(MORNING, tick=False)
    digest_due()
    [item] = decode(Message.objects.get(kind="digest").context)["items"]
    assert item == {"created_at": NOON, "subject": "Role activated"}


def test_digest_of_very_many_says_how_many_more(reader, clock):
    common = {"kind": "role_activated", "state": "held", "user_id": reader.pk, "context": "{}", "next_attempt_at": NOON}
    Message.objects.bulk_create(Message(**common) for _ in range(LONGEST_DIGEST + 2))
    assert digest_due() == 1
    context = decode(Message.objects.get(kind="digest").context)
    assert (len(context["items"]), context["count"], context["more"]) == (LONGEST_DIGEST, LONGEST_DIGEST + 2, 2)
    assert Message.objects.filter(state="gathered").count() == LONGEST_DIGEST + 2
