import re
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils.timezone import now

from accounts import factors
from accounts.models import TotpDevice, User
from accounts.services import open_ticket
from approvals.models import Request
from assignments.models import holders_in_force
from audit.models import Event
from roles.models import Role
from tests.factories import TotpDeviceFactory, holder_of

pytestmark = pytest.mark.django_db
NEW = {"username": "first", "email": "first@example.org", "name": "Nova First"}


def create_administrator(**options):
    out = StringIO()
    call_command("create_administrator", stdout=out, **options)
    return out.getvalue()


def test_create_administrator_makes_a_holder_in_force():
    create_administrator(**NEW)
    assert [str(person) for person in holders_in_force(Role.GLOBAL_ADMINISTRATOR, at=now())] == ["Nova First"]
    assert User.objects.get(username="first").has_perm("roles.change_role")


def test_create_administrator_prints_a_link_that_enrols_this_person():
    link = re.search(r"http://localhost:8000/enrol/(\S+)/", create_administrator(**NEW))
    assert open_ticket(link[1]).user.username == "first"
    assert not User.objects.get(username="first").has_usable_password()


def test_create_administrator_is_audited_as_a_command_of_the_system():
    create_administrator(**NEW)
    events = Event.objects.filter(subject_label="Nova First")
    assert set(events.values_list("action", "via", "actor_id")) == {
        (action, "command", None) for action in ("person.created", "active.assigned", "enrolment.issued")
    }
    assert events.values("correlation_id").distinct().count() == 1


def test_create_administrator_leaves_a_request_behind():
    create_administrator(**NEW)
    request = Request.objects.get()
    assert (request.status, request.requester) == ("provisioned", None)


def test_create_administrator_says_what_to_give_where_nobody_can_be_asked(monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO())
    with pytest.raises(CommandError, match=r"^Nobody is there to be asked: give --email\.$"):
        create_administrator(username="first", name="Nova First")


def test_create_administrator_asks_for_what_is_not_given(monkeypatch):
    asked = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "asked@example.org")
    create_administrator(username="first", name="Nova First")
    assert asked == ["E-mail address: "]
    assert User.objects.get(username="first").email == "asked@example.org"


def test_create_administrator_refused_where_one_is_in_force():
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    with pytest.raises(CommandError, match="--another"):
        create_administrator(**NEW)
    assert not User.objects.filter(username="first").exists()


def test_create_administrator_makes_another_where_that_is_said():
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    create_administrator(**NEW, another=True)
    assert holders_in_force(Role.GLOBAL_ADMINISTRATOR, at=now()).count() == 2


def test_create_administrator_counts_only_those_in_force():
    holder = holder_of(Role.GLOBAL_ADMINISTRATOR)
    User.objects.filter(pk=holder.pk).update(is_active=False)
    create_administrator(**NEW)
    assert holders_in_force(Role.GLOBAL_ADMINISTRATOR, at=now()).get().username == "first"


@pytest.mark.parametrize("wrong", [{"email": "not an address"}, {"username": "no spaces"}, {"username": "taken"}])
def test_create_administrator_leaves_nothing_half_done(wrong):
    holder_of(Role.SECURITY_READER, username="taken")
    people, events = User.objects.count(), Event.objects.count()
    with pytest.raises(CommandError):
        create_administrator(**NEW | wrong)
    assert (User.objects.count(), Event.objects.count()) == (people, events)


@pytest.mark.parametrize("options", [{}, {"interactive": False, "username": "root"}])
def test_createsuperuser_names_the_command_to_use_instead(options):
    with pytest.raises(CommandError, match="create_administrator") as refused:
        call_command("createsuperuser", **options)
    assert refused.value.returncode == 1
    assert not User.objects.exists()


def test_rotate_factor_keys_without_the_old_key_says_what_to_do_and_changes_nothing(settings):
    device = TotpDeviceFactory()
    settings.FACTOR_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CommandError, match=r"^A secret .* put that key behind the new one, and run this again\.$"):
        call_command("rotate_factor_keys")
    assert TotpDevice.objects.get(pk=device.pk).encrypted_key == device.encrypted_key
    assert not Event.objects.filter(action="factor_keys.rotated").exists()


def test_rotate_factor_keys_lets_the_old_key_go(settings):
    device, old = TotpDeviceFactory(), settings.FACTOR_KEYS
    shown, new = factors.shown_key(device.encrypted_key), Fernet.generate_key().decode()
    settings.FACTOR_KEYS = [new, *old]
    call_command("rotate_factor_keys", stdout=(out := StringIO()))
    settings.FACTOR_KEYS = [new]
    assert factors.shown_key(TotpDevice.objects.get(pk=device.pk).encrypted_key) == shown
    assert out.getvalue() == "Encrypted anew: 1\n"
    assert Event.objects.get(action="factor_keys.rotated").via == "command"
