"""Secrets that go through the product are nowhere in what it keeps or tells."""

import pytest
from django.core.exceptions import ValidationError

from accounts import factors, services
from audit.models import Event
from notifications.models import Message
from tests.factories import PASSWORD, TotpDeviceFactory, UserFactory, code_of

pytestmark = pytest.mark.django_db


def kept():
    """Everything that events and mail rows hold, as one text."""
    return repr([*Event.objects.values_list(), *Message.objects.values_list()])


def test_enrolment_secret_is_not_kept_whether_refused_or_not():
    user = UserFactory()
    secret = services.issue_ticket(user=user, actor=None)
    device = TotpDeviceFactory.build(user=user)
    enrolment = {"secret": secret, "password": PASSWORD, "encrypted_key": device.encrypted_key}

    with pytest.raises(ValidationError):
        services.enrol(**enrolment, code="000000")
    codes = services.enrol(**enrolment, code=code_of(device))

    actions = Event.objects.order_by("id").values_list("action", "outcome")
    assert list(actions) == [("enrolment.completed", "refused"), ("enrolment.completed", "success")]
    told = kept()
    assert [text for text in (secret, PASSWORD, factors.shown_key(device.encrypted_key), *codes) if text in told] == []
