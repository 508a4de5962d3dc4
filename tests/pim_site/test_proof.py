import pytest

from audit.checkpoints import checkpoint, notes_in
from audit.models import Checkpoint
from notifications.mail import render
from notifications.models import Message
from notifications.outgoing import new_secret
from pim_site import proof
from pim_site.proof import mail_due, post_due
from tests.audit.logs import SECRET
from tests.listener import listening

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
    assert notes_in(render(messages[0]).text) == [note]


def test_checkpoints_from_before_an_address_was_named_are_not_mailed(settings):
    checkpoint()
    assert mail_due() == 0
    settings.AUDIT_CHECKPOINT_MAIL = ["a@example.org"]
    assert mail_due() == 0
    assert not Message.objects.exists()


def test_checkpoints_are_posted_once_oldest_first_and_wait_for_who_does_not_answer(settings):
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["127.0.0.0/8"], True
    settings.AUDIT_WEBHOOK_SECRETS = [new_secret()]
    notes = [checkpoint().note for _turn in range(2)]
    with listening() as listener:
        settings.AUDIT_CHECKPOINT_URL = listener.url()
        listener.then(503)
        assert post_due() == 0
        listener.then(200)
        assert (post_due(), post_due()) == (2, 0)
    assert [notes_in(body.decode()) for _path, _headers, body in listener.asked] == [
        [notes[0]],
        notes[:1],
        notes[1:],
    ]
    assert listener.asked[0][1]["webhook-id"] == listener.asked[1][1]["webhook-id"]


def test_history_is_not_posted_in_one_run_without_end(settings, monkeypatch):
    settings.AUDIT_CHECKPOINT_URL = "https://witness.example.org/"
    for _turn in range(3):
        checkpoint()
    seconds = iter(range(0, 100, 20))
    monkeypatch.setattr(proof, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(proof, "_is_taken", lambda row: True)
    assert (post_due(), Checkpoint.objects.unposted().count()) == (1, 2)


def test_checkpoint_that_cannot_be_posted_waits(settings):
    settings.AUDIT_WEBHOOK_SECRETS, settings.AUDIT_CHECKPOINT_URL = [new_secret()], "https://127.0.0.1:1/"
    checkpoint()
    assert post_due() == 0
    settings.AUDIT_CHECKPOINT_URL = ""
    assert post_due() == 1
