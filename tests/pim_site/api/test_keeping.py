"""Favourites and sets through the API: one's own, of what one may activate."""

from uuid import uuid4

import pytest
from django.utils.timezone import now

from approvals.favourites import Favourite, RoleSet
from assignments.models import EligibleAssignment
from tests.api import Program
from tests.factories import EligibleFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def person():
    return UserFactory()


def entry(row, *, usable=True):
    where = {"role": str(row.role_id), "scope": str(row.scope_id)}
    return where | {"eligible_assignment": str(row.pk) if usable else None}


def test_favourite_kept_once_and_forgotten(person):
    row, program = EligibleFactory(user=person), Program(person)

    made, again = (program.post("favourites", {"eligible_assignment": str(row.pk)}) for _number in range(2))
    listed = program.get("favourites", role=str(row.role_id))[1]["results"]
    none = program.get("favourites", role=str(uuid4()))
    seen = Program(UserFactory()).get(f"favourites/{made[1]['id']}")[0]
    gone = program.delete(f"favourites/{made[1]['id']}")[0]

    assert made == again == (201, {"id": made[1]["id"], "role": str(row.role_id), "scope": str(row.scope_id)})
    assert (listed, none[0], none[1]["results"], seen, gone) == ([made[1]], 200, [], 404, 204)
    assert not Favourite.objects.exists()


def test_set_kept_replaced_renamed_and_forgotten(person):
    rows, program = [EligibleFactory(user=person) for _number in range(2)], Program(person)

    def body(*chosen):
        return {"name": "Incident", "eligible_assignments": [str(row.pk) for row in chosen]}

    status, made = program.post("role_sets", body(*rows))
    _, fewer = program.post("role_sets", body(rows[1]))
    seen, path = program.headers["ETag"], f"role_sets/{made['id']}"
    without = program.send("PATCH", path, {"name": "Night"})[0]
    renamed = program.patch(path, {"name": "Night"}, seen=seen)
    late = program.patch(path, {"name": "Day"}, seen=seen)
    of_another = Program(UserFactory()).patch(path, {"name": "Day"})[0]

    assert (status, sorted(made["entries"], key=str)) == (201, sorted(map(entry, rows), key=str))
    assert fewer == {"id": made["id"], "name": "Incident", "entries": [entry(rows[1])]}
    assert (without, renamed[0], renamed[1]["name"], late[1]["code"], of_another) == (
        *(428, 200, "Night", "changed_meanwhile", 404),
    )
    assert program.delete(path)[0] == 204
    assert not RoleSet.objects.exists()


def test_set_says_what_of_it_can_be_activated(person):
    mine, program = EligibleFactory(user=person), Program(person)
    _, made = program.post("role_sets", {"name": "Incident", "eligible_assignments": [str(mine.pk)]})
    asked = [{"eligible_assignment": made["entries"][0]["eligible_assignment"], "duration": "PT1H"}]
    body = {"action": "self_activate", "requests": asked, "justification": "An outage."}

    _, answer = program.post("requests/several", body)
    EligibleAssignment.objects.update(ended_at=now(), end_reason="removed")

    assert [each["state"] for each in answer["results"]] == ["active"]
    assert program.get(f"role_sets/{made['id']}")[1]["entries"] == [entry(mine, usable=False)]


@pytest.mark.parametrize("path", ["favourites", "role_sets"])
def test_what_another_may_activate_is_not_kept(person, admin, path):
    other = str(EligibleFactory(user=person).pk)
    body = {"favourites": {"eligible_assignment": other}, "role_sets": {"name": "X", "eligible_assignments": [other]}}

    assert admin.post(path, body[path])[0] == 404
