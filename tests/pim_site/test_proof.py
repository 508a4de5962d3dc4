import pytest

from audit.checkpoints import checkpoint, notes_in
from notifications.mail import render
from notifications.models import Message
from pim_site.proof import mail_due
from tests.audit.logs import SECRET

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _keys(settings):
    settings.AUDIT_KEYS = [SECRET]


def test_checkpoint_is_mailed_once_to_each_address(settings):
    settings.AUDIT_CHECKPOINT_MAIL = ["a@example.org", "b@example.org"]
    note = checkpoint().note
    assert (mail_due(), mail_due()) == (1, 0)
    messages = Message.objects.filter(kind="checkpoint_signed").order_by("to_address")
    assert [message.to_address for message in messages] == ["a@example.org", "b@example.org"]
    line = next(line for line in render(messages[0]).text.splitlines() if line.startswith("{"))
    assert list(notes_in(line)) == [note]


def test_checkpoints_from_before_an_address_was_named_are_not_mailed(settings):
    checkpoint()
    assert mail_due() == 0
    settings.AUDIT_CHECKPOINT_MAIL = ["a@example.org"]
    assert mail_due() == 0
    assert not Message.objects.exists()
