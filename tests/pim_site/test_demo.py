"""The demo organisation, its mail, and the command that starts it all."""

import json
import stat
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pyotp
import pytest
from cryptography.fernet import Fernet
from django.core.mail import EmailMultiAlternatives
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client, override_settings
from django.utils import timezone
from django.utils.timezone import now

from accounts import factors
from accounts.models import Group, TotpDevice, User
from accounts.services import recognise
from approvals.models import Request
from approvals.tasks import start_due, time_out_due
from assignments.models import ActiveAssignment, EligibleAssignment, holders_in_force
from assignments.tasks import expire_due, remind_due
from audit.models import Event
from notifications.models import Message
from notifications.outgoing import new_secret, signature
from pim_site.demo import calendar, clock, organisation, seed
from pim_site.demo.mail import FileBackend
from pim_site.demo.mailbox import letter, letters
from pim_site.health import audit_is_signed
from roles.models import ApprovalStage, Role, RoleSettings

pytestmark = pytest.mark.xdist_group("demo")  # the organisation is made once, by one process


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "demo"
    outgoing = {"OUTGOING_NETWORKS": ["127.0.0.0/8"], "OUTGOING_HTTP": True}
    signing = {"AUDIT_KEYS": [Fernet.generate_key().decode()]}
    with override_settings(DEMO_DIR=path, DEBUG=True, DEMO=True, **outgoing, **signing):
        yield path


@pytest.fixture(scope="module")
def _seeded(directory, django_db_setup, django_db_blocker):
    """The organisation, made once for this module and rolled back after it."""
    block = transaction.atomic()
    block._from_testcase = True  # as Django's own tests mark theirs: what is inside counts as outermost
    with django_db_blocker.unblock(), block:
        call_command("demo", stdout=StringIO())
        yield
        transaction.set_rollback(True)


@pytest.fixture
def people(_seeded, directory):
    return json.loads((directory / "people.json").read_text())


@pytest.fixture
def undone(_seeded):
    """What a test changes is taken back, so that the next one finds the demo as it was made."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def person(username):
    return User.objects.get(username=username)


# --- the organisation ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_seeded")
class TestOrganisation:
    def test_has_about_forty_people_with_zones_and_managers(self):
        persons = User.objects.people()
        assert 38 <= persons.count() <= 45
        assert persons.values("time_zone").distinct().count() >= 5
        assert persons.filter(manager=None).count() == 1

    def test_has_a_service_account_with_one_active_role(self):
        service = person("service")
        assert service.kind == User.Kind.SERVICE
        assert ActiveAssignment.objects.in_force(now()).filter(user=service).count() == 1

    def test_has_roles_beyond_the_built_in_ones_with_different_settings(self):
        assert Role.objects.filter(built_in_key=None).count() >= 12
        current = RoleSettings.objects.current().filter(role__built_in_key=None)
        for field in ("activation_max_duration", "approval_required", "ticket_required", "activation_authentication"):
            assert current.values(field).distinct().count() > 1, field

    def test_has_protected_groups_that_approve(self):
        approving = ApprovalStage.objects.in_use().values("approver_groups")
        assert Group.objects.filter(pk__in=approving, is_protected=True).count() >= 3

    def test_shows_every_status_of_a_request(self):
        shown = set(Request.objects.values_list("status", flat=True))
        assert shown == set(Request.Status.values) - {"pending_hook"}  # the demo calls nobody

    def test_shows_every_kind_of_assignment(self):
        at, soon = now(), now() + timedelta(days=14)
        for model in (EligibleAssignment, ActiveAssignment):
            rows = model.objects
            assert rows.in_force(at).filter(ends_at=None).exists()
            assert rows.in_force(at).filter(ends_at__gt=soon).exists()
            assert rows.in_force(at).filter(ends_at__lt=soon).exists()
            assert rows.scheduled(at).exists()
            assert rows.filter(end_reason="expired").exists()
        assert ActiveAssignment.objects.activated().in_force(at).exists()

    def test_keeps_two_holders_of_each_role_that_must_be_held(self):
        for key in Role.GUARDED:
            assert holders_in_force(key, at=now()).count() >= 2

    def test_leaves_the_worker_nothing_to_make_up_for(self, undone):
        assert [expire_due(), time_out_due(), start_due(), remind_due()] == [0, 0, 0, 0]

    def test_gives_every_request_its_events_in_the_order_of_time(self):
        told = set(Event.objects.exclude(request_id=None).values_list("request_id", flat=True))
        assert told == set(Request.objects.values_list("pk", flat=True))
        ids = Event.objects.exclude(outcome="refused").order_by("at", "id").values_list("id", flat=True)
        assert list(ids) == sorted(ids)

    def test_goes_back_for_weeks_and_never_into_the_future(self):
        times = Event.objects.order_by("at").values_list("at", flat=True)
        assert times.first() < now() - timedelta(days=50)
        assert times.last() <= now()

    def test_shows_refusals(self):
        codes = Event.objects.filter(outcome="refused").values_list("code", flat=True)
        assert set(codes) == {"too_long", "justification_required", "not_an_approver"}

    def test_sends_only_recent_mail(self):
        waiting = Message.objects.filter(state=Message.State.QUEUED)
        assert waiting.exists()
        assert not waiting.filter(created_at__lt=now() - timedelta(days=2)).exists()

    def test_starts_with_open_questions_for_the_approvers(self):
        for username in ("approver", "second_approver", "global_admin"):
            assert Request.objects.awaiting(person(username), now()).exists(), username

    def test_leaves_the_requester_everything_to_try(self):
        mine = EligibleAssignment.objects.in_force(now()).filter(user=person("requester"))
        settings = [RoleSettings.objects.applying_to(row.role, row.scope)[0] for row in mine]
        assert any(not s.approval_required and not s.ticket_required for s in settings)
        assert any(
            set(s.stages.values_list("approvers__username", flat=True)) == {"approver", "second_approver"}
            for s in settings
        )
        assert any(s.ticket_required for s in settings)
        assert any(row.role.permissions.exists() for row in mine)
        assert [s.hook.name for s in settings if s.hook] == ["Change calendar"]
        assert any(s.emergency_allowed for s in settings)
        assert not ActiveAssignment.objects.in_force(now()).filter(user=person("requester")).exists()
        assert not Request.objects.pending().filter(user=person("requester")).exists()

    @pytest.mark.parametrize(
        ("username", "console"),
        [
            ("global_admin", True),
            ("role_admin", True),
            ("security_reader", True),
            ("helpdesk", False),
            ("requester", False),
            ("approver", False),
            ("outsider", False),
        ],
    )
    def test_opens_the_console_to_holders_only(self, username, console):
        assert person(username).is_staff is console

    def test_gives_the_outsider_nothing(self):
        outsider = person("outsider")
        assert not EligibleAssignment.objects.filter(user=outsider).exists()
        assert not ActiveAssignment.objects.filter(user=outsider).exists()
        assert not Group.objects.filter(members=outsider).exists()


def asked_calendar(client, ticket, *, secrets=None, late=0):
    """Post a question to the calendar, signed as the worker signs."""
    hook, at = calendar.hook(), now() - timedelta(seconds=late)
    body = json.dumps({"type": "request.pending", "data": {"request": {"ticket": ticket}}}).encode()
    headers = {
        "webhook-id": "req_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(secrets or hook.secrets(at), message_id="req_1", at=at, body=body),
    }
    return client.post("/demo/calendar/", body, content_type="application/json", headers=headers)


@pytest.mark.usefixtures("_seeded")
class TestCalendar:
    @pytest.mark.parametrize(
        ("ticket", "decision"),
        [("CHG-7", "auto_approved"), ("FRZ-7", "denied"), ("OPS-7", "approved"), ("", "approved")],
    )
    def test_answers_by_the_ticket(self, client, ticket, decision):
        assert asked_calendar(client, ticket).json()["decision"] == decision

    def test_answers_nobody_without_its_secret_or_late(self, client):
        answers = [
            client.post("/demo/calendar/", "{}", content_type="application/json"),
            asked_calendar(client, "CHG-7", secrets=[new_secret()]),
            asked_calendar(client, "CHG-7", late=301),
        ]
        assert [answer.status_code for answer in answers] == [403] * 3

    def test_follows_the_site_to_another_port(self, undone, settings):
        settings.BASE_URL = "http://localhost:8123"
        call_command("demo", stdout=StringIO())
        assert calendar.hook().url == "http://127.0.0.1:8123/demo/calendar/"


@pytest.mark.usefixtures("_seeded")
def test_console_of_a_new_demo_does_not_say_that_nothing_was_signed(settings):
    assert settings.AUDIT_KEYS
    assert audit_is_signed(now())


def test_seed_a_second_time_changes_nothing(people, undone):
    before = [model.objects.count() for model in (User, Request, Event, Message)]
    call_command("demo", stdout=(out := StringIO()))
    assert [model.objects.count() for model in (User, Request, Event, Message)] == before
    assert "already" in out.getvalue()


def test_demo_command_brings_lost_credentials_back(people, directory):
    (directory / "people.json").unlink()
    call_command("demo", stdout=StringIO())
    again = json.loads((directory / "people.json").read_text())
    assert without_tokens(again) == without_tokens(people)
    assert {name for name, person in again.items() if recognise(person["token"], address="").user.username == name} == {
        *people
    }


def test_demo_command_keeps_tokens_that_count(people, directory):
    before = (directory / "people.json").read_text()
    call_command("demo", stdout=StringIO())
    assert (directory / "people.json").read_text() == before


def without_tokens(people):
    return {name: {key: fact for key, fact in person.items() if key != "token"} for name, person in people.items()}


@pytest.mark.parametrize("off", ["DEBUG", "DEMO"])
@pytest.mark.django_db
def test_demo_command_refuses_outside_a_demo(off, settings):
    settings.DEBUG = settings.DEMO = True
    setattr(settings, off, False)
    people = User.objects.count()
    with pytest.raises(CommandError, match="PIM_DEMO"):
        call_command("demo")
    assert User.objects.count() == people


# --- how to sign in -----------------------------------------------------------------------------------------


def test_people_file_names_every_persona(people, directory):
    assert set(people) == set(organisation.PERSONAS)
    for name, facts in people.items():
        assert facts["username"] == name
        assert facts["email"] == person(name).email
        assert facts["what for"]


def test_people_file_is_for_its_owner_only(people, directory):
    assert stat.S_IMODE((directory / "people.json").stat().st_mode) == 0o600


def test_people_file_gives_passwords_and_codes_that_are_accepted(people):
    for name in set(people) - {"service"}:
        user, facts = person(name), people[name]
        assert user.check_password(facts["password"])
        app = TotpDevice.objects.get(user=user, confirmed=True)
        code = pyotp.parse_uri(facts["otpauth"]).at(now())
        assert factors.accepted_step(app.encrypted_key, code, after=app.last_step, at=now())


def test_people_file_lets_the_service_account_sign_in_nowhere(people):
    assert set(people["service"]) == {"username", "email", "what for", "token"}
    assert not person("service").has_usable_password()


# --- the clock ----------------------------------------------------------------------------------------------


def test_clock_answers_the_moment_wherever_now_was_imported_to():
    moment = now() - timedelta(days=3)
    with clock.set_to(moment):
        assert now() == timezone.now() == seed.now() == moment
    assert now() - moment > timedelta(days=2)


def test_clock_goes_on_after_an_error():
    with pytest.raises(ZeroDivisionError), clock.set_to(now() - timedelta(days=3)):
        1 / 0  # noqa: B018
    assert now() > clock.datetime(2026, 1, 1, tzinfo=timezone.get_default_timezone())
    assert timezone.datetime is clock.datetime


# --- mail ---------------------------------------------------------------------------------------------------


@pytest.fixture
def box(tmp_path, settings):
    settings.DEMO_DIR, settings.BASE_URL = tmp_path, "http://localhost:8000"
    return tmp_path / "mail"


def send(subject="PIM: Hello", text="Hello.", to="Ada Example <ada@example.org>", html="<p>Hello.</p>"):
    mail = EmailMultiAlternatives(subject, text, "pim@example.org", [to])
    mail.attach_alternative(html, "text/html")
    return FileBackend().send_messages([mail])


def test_mail_is_written_whole_and_sorts_by_time(box):
    assert send(subject="PIM: one") == send(subject="PIM: two") == 1
    assert [found.subject for found in letters()] == ["PIM: two", "PIM: one"]
    assert {path.suffix for path in box.iterdir()} == {".eml"}
    assert abs(letters()[0].sent_at - now()) < timedelta(minutes=1)


def test_mail_keeps_both_forms_and_any_script(box):
    send(subject="PIM: Ünï — 役割", text="Grüße", html="<p>Grüße</p>")
    found = letter(letters()[0].name)
    assert (found.subject, found.part("plain").strip(), found.part("html").strip()) == (
        "PIM: Ünï — 役割",
        "Grüße",
        "<p>Grüße</p>",
    )


@pytest.mark.django_db
class TestMailPages:
    def test_list_shows_the_newest_first_without_sign_in(self, box, client):
        send(subject="PIM: one")
        send(subject="PIM: two")
        page = client.get("/demo/mail/").content.decode()
        assert 0 < page.index("PIM: two") < page.index("PIM: one")

    def test_list_filters_by_address(self, box, client):
        send(subject="PIM: for Ada")
        send(subject="PIM: for Bo", to="bo@example.org")
        page = client.get("/demo/mail/", {"to": "BO@example"}).content.decode()
        assert "PIM: for Bo" in page
        assert "PIM: for Ada" not in page

    def test_list_says_what_to_do_when_empty(self, box, client):
        assert "No mail here." in client.get("/demo/mail/").content.decode()

    def test_list_turns_pages(self, box, client):
        for number in range(30):
            send(subject=f"PIM: number {number}")
        assert "number 29" in client.get("/demo/mail/").content.decode()
        assert "number 29" not in client.get("/demo/mail/", {"page": 2}).content.decode()

    def test_detail_links_our_own_pages_only(self, box, client):
        send(text="See http://localhost:8000/requests/ and http://localhost:8000.example.net/ now.")
        page = client.get(f"/demo/mail/{letters()[0].name}/").content.decode()
        assert '<a href="/requests/">http://localhost:8000/requests/</a>' in page
        assert 'href="http://localhost:8000.example.net' not in page

    def test_detail_shows_markup_as_text(self, box, client):
        send(text="<script>alert(1)</script>", html="<script>alert(2)</script>", subject="<b>hi</b>")
        page = client.get(f"/demo/mail/{letters()[0].name}/").content.decode()
        assert "<script>alert" not in page
        assert "<b>hi" not in page
        assert "&lt;script&gt;alert(2)" in page

    @pytest.mark.parametrize("name", ["none", "people", "..%2Fpeople"])
    def test_detail_of_no_mail_is_not_found(self, box, client, name):
        Path(box).mkdir()
        (box.parent / "people.eml").write_text("Subject: secret\n\n")
        assert client.get(f"/demo/mail/{name}/").status_code == 404

    @pytest.mark.parametrize("path", ["/demo/mail/", "/demo/mail/x/"])
    def test_pages_take_no_post(self, box, path):
        assert Client().post(path).status_code == 405
