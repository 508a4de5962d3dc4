"""What has served its time is forgotten, and nothing else is."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils.timezone import now

from accounts.models import SignInCounter, StepUpProof
from accounts.tasks import forget_due
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


def test_forget_due_deletes_what_is_over_and_keeps_the_rest():
    at, user = now(), UserFactory()
    for name, age in (("old", 25 * HOUR), ("new", 23 * HOUR)):
        SignInCounter.objects.create(key=name, failures=9, changed_at=at - age)
        proof = {"session_digest": name, "intent_digest": name, "method": "totp", "created_at": at - age}
        StepUpProof.objects.create(user=user, **proof)
    for name, rest in (("old", -HOUR), ("new", HOUR)):
        Session.objects.create(session_key=name, session_data="", expire_date=at + rest)

    assert [forget_due(), forget_due()] == [3, 0]

    assert list(SignInCounter.objects.values_list("key", flat=True)) == ["new"]
    assert list(StepUpProof.objects.values_list("session_digest", flat=True)) == ["new"]
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]
