"""What importing rows does: each as if by hand, all of them or none."""

import tracemalloc

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Group, User
from approvals.models import Request
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.context import bind
from audit.models import Event
from notifications.models import Message
from pim_site.ascode.document import FileRefused
from pim_site.imports.rows import read
from pim_site.imports.services import import_rows, plan_rows
from roles.models import Role
from tests.factories import GroupFactory, RoleFactory, UserFactory, holder_of
from tests.refusals import refused, snapshot

pytestmark = pytest.mark.django_db
WHY = "New team, HR-2190"


@pytest.fixture
def administrator():
    return holder_of(Role.GLOBAL_ADMINISTRATOR, username="boss")


def imported(kind, text, actor):
    plan = import_rows(actor=actor, document=read(kind, text.encode()), justification=WHY)
    return [(change.verb, change.name) for change in plan.changes]


def refusals(kind, text, actor):
    with refused("file_refused") as refusal:
        import_rows(actor=actor, document=read(kind, text.encode()), justification=WHY)
    return [tuple(fault) for fault in refusal.value.faults]


def test_people_are_made_and_changed(administrator):
    UserFactory(username="bo", display_name="Bo", email="bo@example.org", time_zone="Asia/Tokyo")

    assert imported(
        "people",
        "username,name,email,kind,manager\n"
        "ada,Ada,ada@example.org,,bo\nbo,Bo L.,bo@example.org,,\njob,Job,job@example.org,service,\n",
        administrator,
    ) == [("change", "bo"), ("create", "job"), ("create", "ada")]
    people = User.objects.exclude(pk=administrator.pk).order_by("username")
    assert [(user.display_name, user.kind, user.manager and user.manager.username) for user in people] == [
        ("Ada", "person", "bo"),
        ("Bo L.", "person", None),
        ("Job", "service", None),
    ]
    assert User.objects.get(username="bo").time_zone == "Asia/Tokyo", "no cell, no change"


def test_groups_get_just_these_members(administrator):
    ada, bo = UserFactory(username="ada"), UserFactory(username="bo")
    GroupFactory(name="Keepers", members=[ada], is_protected=False)

    done = imported("groups", "name,members\nKeepers,bo\nNew,ada;bo\n", administrator)

    assert done == [("change", "Keepers"), ("create", "New")]
    assert [set(group.members.all()) for group in Group.objects.order_by("name")] == [{bo}, {ada, bo}]


def test_rows_are_audited_one_by_one_under_one_correlation_id(administrator):
    RoleFactory(name="Reader")
    UserFactory(username="ada"), UserFactory(username="bo")

    with bind(correlation_id="this import", via="session totp"):
        imported("eligible", "role,resource,user\nReader,/,ada\nReader,/,bo\n", administrator)

    events = Event.objects.order_by("id").values_list("action", "subject_label", "justification", "actor_id")
    assert list(events) == [
        ("eligible.assigned", "Ada", WHY, administrator.pk),
        ("eligible.assigned", "Bo", WHY, administrator.pk),
        ("rows.imported", "", WHY, administrator.pk),
    ]
    assert set(Event.objects.values_list("correlation_id", flat=True)) == {"this import"}
    assert set(Request.objects.values_list("requester", "justification")) == {(administrator.pk, WHY)}


def test_holders_get_a_mail_each_and_administrators_one(administrator):
    role = RoleFactory(name="Reader")
    ada, bo = UserFactory(username="ada"), UserFactory(username="bo")

    imported("active", "role,resource,user\nReader,/,ada\nReader,/,bo\n", administrator)

    mails = Message.objects.values_list("kind", "to_address")
    assert sorted(mails) == [
        ("active_assigned", ada.email),
        ("active_assigned", bo.email),
        ("assigned_in_bulk", administrator.email),
    ]
    assert f"{role} · Organisation: 2" in Message.objects.get(kind="assigned_in_bulk").context


def test_one_wrong_row_and_nothing_is_written(administrator):
    RoleFactory(name="Reader")
    UserFactory(username="ada")

    assert refusals("eligible", "role,resource,user\nReader,/,ada\nReader,/,bo\nReader,/,boss\n", administrator) == [
        (3, "There is nobody with the username “bo”."),
        (4, "Nobody gives a role to themselves. Ask another administrator."),
    ]
    assert not EligibleAssignment.objects.exists()


def test_each_row_needs_the_right_of_who_imports():
    helpdesk = holder_of(Role.HELPDESK_ADMINISTRATOR)
    RoleFactory(name="Reader")
    RoleFactory(name="Root", is_privileged=True)
    UserFactory(username="ada")

    assert refusals("eligible", "role,resource,user\nReader,/,ada\nRoot,/,ada\n", helpdesk) == [
        (3, "Your roles in force do not allow this. Activate the role that does.")
    ]


def test_role_that_asks_for_a_code_is_not_assigned_in_bulk(administrator):
    RoleFactory(name="Root", settings__assign_active_mfa_required=True)
    UserFactory(username="ada")
    (fault,) = refusals("active", "role,resource,user\nRoot,/,ada\n", administrator)
    assert fault[0] == 2
    assert not ActiveAssignment.objects.exclude(user=administrator).exists()


def test_same_file_again_changes_nothing(administrator):
    RoleFactory(name="Reader")
    UserFactory(username="ada")
    text = "role,resource,user,ends_at\nReader,/,ada,2099-01-01T00:00:00Z\n"
    text = text.replace("2099-01-01T00:00:00Z", "")
    assert imported("eligible", text, administrator) == [("create", "Reader (/) of ada")]
    before = snapshot()
    assert imported("eligible", text, administrator) == []
    assert snapshot() == before


def test_looking_changes_nothing_and_says_what_importing_does(administrator):
    before, document = snapshot(), read("groups", b"name\nKeepers\n")
    planned = plan_rows(actor=administrator, document=document, justification=WHY)
    assert snapshot() == before
    assert import_rows(actor=administrator, document=document, justification=WHY) == planned


def test_cell_that_looks_like_a_formula_is_a_text(administrator):
    imported("groups", 'name,description\n=1+1,"=HYPERLINK(""http://x"")"\n', administrator)
    assert Group.objects.get().description == '=HYPERLINK("http://x")'


ROWS = 200  # 10,000 of them are imported by `make benchmark`


def file_of(rows, administrator):
    RoleFactory(name="Reader")
    User.objects.bulk_create(UserFactory.build_batch(rows, password="!"))
    names = User.objects.exclude(pk=administrator.pk).values_list("username", flat=True)
    return read("eligible", ("role,resource,user\n" + "".join(f"Reader,/,{name}\n" for name in names)).encode())


def test_a_row_costs_a_few_statements_and_little_memory(administrator, capsys):
    document = file_of(ROWS, administrator)
    tracemalloc.start()
    with CaptureQueriesContext(connection) as asked:
        import_rows(actor=administrator, document=document, justification=WHY)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Four rows are written for each, between two savepoints; the statements are kept by the test itself.
    assert len(asked) < 8 * ROWS + 60
    assert peak / ROWS < 100 * 1024
    with capsys.disabled():
        print(f"\n{len(asked) / ROWS:.1f} statements and {peak / ROWS / 1024:.0f} KB a row")


def test_many_rows_with_a_wrong_one_write_nothing(administrator):
    RoleFactory(name="Reader")
    User.objects.bulk_create(UserFactory.build_batch(50, password="!"))
    names = [*User.objects.exclude(pk=administrator.pk).values_list("username", flat=True), "nobody"]
    before = snapshot()
    with pytest.raises(FileRefused):
        plan_rows(
            actor=administrator,
            document=read("eligible", ("role,resource,user\n" + "".join(f"Reader,/,{n}\n" for n in names)).encode()),
            justification=WHY,
        )
    assert snapshot() == before
