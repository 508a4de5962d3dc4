"""CSV by the API: what these doors add to the services that the console calls."""

import pytest

from accounts.models import ApiToken, Group, User
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from pim_site.imports.rows import SHOWN
from pim_site.models import RequestCounter
from roles.models import Role
from tests.api import Program
from tests.factories import GroupFactory, RoleFactory, UserFactory, holder_of
from tests.refusals import snapshot, without_audit

pytestmark = [pytest.mark.django_db, pytest.mark.once]
WHY = {"justification": "On call from July, HR-2190."}


@pytest.fixture
def reader():
    UserFactory(username="ada"), UserFactory(username="bo")
    return RoleFactory(name="Reader")


def stored():
    """Everything but that a token was used, and how often."""
    noted = (ApiToken._meta.db_table, RequestCounter._meta.db_table)
    return {table: rows for table, rows in without_audit(snapshot()).items() if table not in noted}


def given(*people):
    return "role,resource,user\n" + "".join(f"Reader,/,{name}\n" for name in people)


def test_rows_are_looked_at_then_put_in_force(admin, asker, reader):
    file = WHY | {"csv": given("ada", "bo")}
    before = stored()
    told = {
        "created": 2,
        "changed": 0,
        "changes": [
            {"verb": "create", "name": f"Reader (/) of {name}", "line": line, "details": []}
            for name, line in (("ada", 2), ("bo", 3))
        ],
    }

    assert admin.post("eligible_assignments/import", file | {"validate_only": True}) == (200, told)
    assert stored() == before

    assert admin.post("eligible_assignments/import", file) == (200, told)
    assert set(EligibleAssignment.objects.values_list("user__username", "role__name")) == {
        ("ada", "Reader"),
        ("bo", "Reader"),
    }
    event = Event.objects.get(action="rows.imported")
    assert (event.actor_id, event.justification) == (asker.pk, WHY["justification"])
    assert event.facts["after"] == {"kind": "eligible", "create": 2, "change": 0, "end": 0}


@pytest.mark.parametrize(
    ("path", "csv", "made"),
    [
        ("principals", "username,name,email\nmara,Mara,mara@example.org\n", lambda: User.objects.get(username="mara")),
        ("groups", "name,members\nOn call,ada;bo\n", lambda: Group.objects.get(name="On call").members.get(pk=ada())),
        ("active_assignments", given("ada"), lambda: ActiveAssignment.objects.get(user=ada(), role__name="Reader")),
    ],
)
def test_each_list_takes_its_own_rows(admin, reader, path, csv, made):
    status, done = admin.post(f"{path}/import", WHY | {"csv": csv})

    assert (status, done["created"]) == (200, 1), done
    assert made()


def ada():
    return User.objects.get(username="ada").pk


def test_what_differs_is_told_with_its_line(admin, reader):
    GroupFactory(name="On call", description="Night")

    _status, done = admin.post("groups/import", WHY | {"csv": "name,description\nOn call,Day\n"})

    details = ["description: Night → Day"]
    assert done["changes"] == [{"verb": "change", "name": "On call", "line": 2, "details": details}]
    assert (done["created"], done["changed"]) == (0, 1)


@pytest.mark.parametrize("only_looked", [True, False])
def test_one_wrong_row_and_nothing_is_put_in_force(admin, reader, only_looked):
    file = WHY | {"csv": given("ada", "nobody", "bo", "noone"), "validate_only": only_looked}

    status, refused = admin.post("eligible_assignments/import", file)

    assert (status, refused["code"]) == (422, "file_refused")
    assert refused["errors"] == [
        {
            "field": f"csv.{line}",
            "code": "file_refused",
            "detail": f"There is nobody with the username “{name}”.",
        }
        for line, name in ((3, "nobody"), (5, "noone"))
    ]
    assert not EligibleAssignment.objects.exists()


def test_wrong_heads_are_refused_by_the_first_line(admin):
    _status, refused = admin.post("groups/import", WHY | {"csv": "nmae\nOn call\n"})

    assert [(error["field"], error["code"]) for error in refused["errors"]] == [("csv.1", "file_refused")]


def test_what_is_wrong_is_told_as_far_as_the_console_tells_it(admin):
    cells = "On call,too many\n" * (SHOWN + 9)

    _status, refused = admin.post("groups/import", WHY | {"csv": f"name\n{cells}"})

    assert [error["field"] for error in refused["errors"]] == [f"csv.{line}" for line in range(2, SHOWN + 2)]


def test_file_without_a_reason_refused(admin):
    status, refused = admin.post("groups/import", {"csv": "name\nOn call\n", "justification": " \n"})

    assert (status, refused["errors"][0]["field"], refused["errors"][0]["code"]) == (400, "justification", "blank")


def test_sent_again_with_its_key_is_put_in_force_once(admin):
    file = WHY | {"csv": "name\nOn call\n"}

    answers = [admin.post("groups/import", file, key="file-1") for _time in range(2)]

    assert answers[0] == answers[1] == (200, answers[0][1])
    assert Event.objects.filter(action="rows.imported").count() == 1


def test_rows_are_judged_one_by_one_and_who_may_do_none_is_told_nothing(reader):
    RoleFactory(name="Root", is_privileged=True)
    helpdesk, plain = Program(holder_of(Role.HELPDESK_ADMINISTRATOR)), Program(UserFactory())
    file = WHY | {"csv": given("ada") + "Root,/,ada\n"}

    mixed, refused = helpdesk.post("eligible_assignments/import", file), plain.post("eligible_assignments/import", file)

    assert [(error["field"]) for error in mixed[1]["errors"]] == ["csv.3"]
    assert (refused[0], refused[1]["code"]) == (403, "not_allowed")
    assert not EligibleAssignment.objects.exists()
