from datetime import timedelta
from time import perf_counter

import pytest
from django.contrib.auth.models import Permission
from django.utils.timezone import now

from accounts.models import TotpDevice, User
from accounts.prepared import Prepared
from assignments.backends import held
from roles.models import Role
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RoleFactory,
    TotpDeviceFactory,
    UserFactory,
    holder_of,
)

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def everybody():
    """People who hold something in every way there is, and one who holds nothing."""
    role = RoleFactory()
    role.permissions.set(Permission.objects.filter(codename__in=["view_event", "view_role"]))
    direct, member, ended = (ActiveFactory(role=role).user, UserFactory(), UserFactory())
    ActiveFactory(role=role, user=None, group=GroupFactory(members=[member]))
    start = now().replace(microsecond=0) - 2 * HOUR
    ActiveFactory(role=role, user=ended, starts_at=start, ends_at=start + HOUR)
    return [direct, member, ended, EligibleFactory(role=role).user, holder_of(Role.SECURITY_READER), UserFactory()]


def test_prepared_gives_what_the_query_gives_for_everybody_and_at_any_time():
    prepared, people = Prepared(held), everybody()
    for at in (now(), now() - 90 * timedelta(minutes=1), now() + 9000 * HOUR, now() - 9000 * HOUR):
        asked = {person: set(held(person, at)) for person in people}
        assert {person: set(prepared.rows(person, at)) for person in people} == asked
    assert [len(set(prepared.rows(person, now()))) for person in people][:4] == [2, 2, 0, 0]


def test_prepared_counts_what_the_query_gives():
    prepared, people = Prepared(held), everybody()
    at = now()
    assert [prepared.count(person, at) for person in people] == [held(person, at).count() for person in people]


def test_prepared_row_is_a_whole_one_for_each_kind_of_value():
    ada, _other = UserFactory(username="ada", is_active=False), UserFactory(username="grace")
    ways = {
        "row": (Prepared(lambda user: User.objects.filter(pk=user.pk)), ada),
        "key": (Prepared(lambda key: User.objects.filter(pk=key)), ada.pk),
        "text": (Prepared(lambda name: User.objects.filter(username=name)), "ada"),
        "moment": (Prepared(lambda at: User.objects.filter(created_at=at)), ada.created_at),
    }
    found = [vars(prepared.first(User, value)) for prepared, value in ways.values()]
    whole = vars(User.objects.get(pk=ada.pk))
    assert [row | {"_state": None} for row in found] == [whole | {"_state": None}] * len(ways)


def test_prepared_row_is_found_by_a_number():
    apps, prepared = [TotpDeviceFactory() for _ in range(3)], Prepared(lambda key: TotpDevice.objects.filter(pk=key))

    assert [prepared.first(TotpDevice, app.pk) for app in apps] == apps
    assert prepared.first(TotpDevice, 10**9) is None


@pytest.mark.parametrize("name", ["", "nobody", "' OR 1=1 --"])
def test_prepared_finds_no_row_where_there_is_none(name):
    UserFactory()
    assert Prepared(lambda name: User.objects.filter(username=name)).first(User, name) is None


def test_among_gives_what_in_gives():
    ada, grace, _other = (UserFactory(username=name) for name in ("ada", "grace", "other"))
    keys = {name: User.objects.filter(username=name).order_by().values("pk") for name in ("ada", "grace", "nobody")}
    both = keys["ada"].union(keys["grace"])
    one = Prepared(lambda name: User.objects.filter(username=name).order_by().values_list("pk")).subquery("grace")
    found = [set(User.objects.filter(pk__among=each)) for each in (keys["ada"], keys["nobody"], both, one)]
    assert found == [{ada}, set(), {ada, grace}, {grace}]
    assert ada not in User.objects.exclude(pk__among=both)


def test_prepared_is_compiled_once():
    compilations = []

    def query(user, at):
        compilations.append(user)
        return held(user, at)

    prepared = Prepared(query)
    for person in everybody():
        prepared.rows(person, now())
    assert len(compilations) == 1


def test_prepared_saves_the_time_of_making_the_text(capsys):
    def seconds(ask, times=20):
        began = perf_counter()
        for _ in range(times):
            ask()
        return (perf_counter() - began) / times

    prepared, person = Prepared(held), holder_of(Role.SECURITY_READER)
    anew = seconds(lambda: list(held(person, now())))
    once = seconds(lambda: prepared.rows(person, now()))
    with capsys.disabled():
        print(f"\nrights of a person: {anew * 1000:.1f} ms made anew, {once * 1000:.1f} ms prepared")
    assert once < anew
