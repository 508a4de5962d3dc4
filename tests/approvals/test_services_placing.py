"""Moving and deleting: what is held, asked for or over is never left without its footing."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils.timezone import now

from approvals import services
from approvals.models import Request
from assignments.models import EligibleAssignment
from assignments.services import delete_group
from audit.models import Event
from roles.models import Resource, Role, RoleSettings
from roles.services import govern_group, update_resource
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    ExtensionFactory,
    GroupFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    root,
)
from tests.refusals import refused

pytestmark = pytest.mark.django_db
WHY = "It changed hands."


@pytest.fixture
def boss():
    return holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)


@pytest.fixture
def tree():
    """Finance with Payroll with Ledger; and Technology beside it."""
    finance, technology = ResourceFactory(name="Finance"), ResourceFactory(name="Technology")
    payroll = ResourceFactory(name="Payroll", parent=finance)
    return finance, payroll, ResourceFactory(name="Ledger", parent=payroll), technology


def move(resource, parent, actor):
    return services.move_resource(resource=resource, parent=parent, actor=actor, justification=WHY)


def where(*resources):
    return [Resource.objects.values_list("path", "label").get(pk=each.pk) for each in resources]


# --- moving ---------------------------------------------------------------------------------------------------


def test_move_takes_along_what_is_beneath_and_says_so_in_the_audit(boss, tree):
    _finance, payroll, ledger, technology = tree
    move(payroll, technology, boss)
    path = f"{technology.path}{payroll.pk.hex}/"
    assert where(payroll, ledger) == [
        (path, "/Technology/Payroll"),
        (f"{path}{ledger.pk.hex}/", "/Technology/Payroll/Ledger"),
    ]
    assert Resource.objects.get(pk=payroll.pk).parent == technology
    event = Event.objects.get()
    assert (event.action, event.facts["justification"]) == ("resource.moved", WHY)
    assert (event.facts["before"]["label"], event.facts["after"]["label"]) == (
        "/Finance/Payroll",
        "/Technology/Payroll",
    )


def test_move_to_the_organisation_itself(boss, tree):
    _finance, payroll, ledger, _technology = tree
    move(payroll, root(), boss)
    assert [label for _path, label in where(payroll, ledger)] == ["/Payroll", "/Payroll/Ledger"]


@pytest.mark.parametrize("place", [1, 2])
def test_move_beneath_itself_refused(boss, tree, place):
    with refused("cycle"):
        move(tree[1], tree[place], boss)


def test_move_of_the_organisation_refused(boss, tree):
    with refused("root_stays"):
        move(root(), tree[0], boss)


def test_move_to_where_it_is_refused(boss, tree):
    with refused("unchanged"):
        move(tree[1], tree[0], boss)


def test_move_to_where_the_name_is_taken_refused(boss, tree):
    _finance, payroll, _ledger, technology = tree
    ResourceFactory(name="Payroll", parent=technology)
    with refused("name_taken"):
        move(payroll, technology, boss)


def test_move_too_deep_refused_for_what_is_beneath(boss, tree):
    _finance, payroll, _ledger, technology = tree
    deep = technology
    for _level in range(29):  # 30 ids of 33 characters: one more fits into the column, two do not
        deep = ResourceFactory(parent=deep)
    with refused("too_deep"):
        move(payroll, deep, boss)


def test_move_after_a_move_that_was_not_seen(boss, tree):
    finance, payroll, ledger, technology = tree
    stale = Resource.objects.get(pk=ledger.pk)
    move(payroll, technology, boss)
    move(stale, finance, boss)
    assert [label for _path, label in where(ledger)] == ["/Finance/Ledger"]


def held_eligible(role, scope):
    return EligibleFactory(role=role, scope=scope)


def held_active(role, scope):
    return ActiveFactory(role=role, scope=scope)


def asked_for(role, scope):
    eligible = EligibleFactory(role=role, scope=role.resource)
    return RequestFactory(eligible_assignment=eligible, scope=scope)


def extension_asked(role, scope):
    ended = EligibleFactory(role=role, scope=scope, ended_at=now(), end_reason="expired")
    return ExtensionFactory(eligible_assignment=ended)


def scheduled(role, scope):
    eligible = EligibleFactory(role=role, scope=role.resource)
    return RequestFactory(
        eligible_assignment=eligible, scope=scope, status=Request.Status.SCHEDULED, settled_at=now(), stage=None
    )


def own_settings(role, scope):
    return RoleSettings.objects.create(role=role, scope=scope, created_at=now())


FOOTINGS = [held_eligible, held_active, asked_for, extension_asked, scheduled, own_settings]


@pytest.mark.parametrize("footing", FOOTINGS)
def test_move_refused_while_it_would_leave_something_behind(boss, tree, footing):
    finance, payroll, ledger, technology = tree
    footing(RoleFactory(resource=finance), ledger)
    with refused("in_use"):
        move(payroll, technology, boss)


@pytest.mark.parametrize("footing", FOOTINGS)
def test_move_keeps_what_still_reaches(boss, tree, footing):
    _finance, payroll, ledger, technology = tree
    for resource in (root(), payroll):
        footing(RoleFactory(resource=resource), ledger)
    move(payroll, technology, boss)
    assert [label for _path, label in where(ledger)] == ["/Technology/Payroll/Ledger"]


def test_move_refused_while_an_activation_comes_from_an_eligibility_above(boss, tree):
    finance, payroll, _ledger, technology = tree
    ActivationFactory(eligible_assignment=EligibleFactory(role=RoleFactory(), scope=finance), scope=payroll)
    with refused("in_use"):
        move(payroll, technology, boss)


def test_move_says_how_many_stand_in_its_way_and_which(boss, tree):
    finance, payroll, _ledger, technology = tree
    role = RoleFactory(resource=finance, name="Clerk")
    held = [EligibleFactory(role=role, scope=payroll, user__display_name=f"P{number}") for number in range(7)]
    with pytest.raises(ValidationError) as refusal:
        move(payroll, technology, boss)
    line, advice = refusal.value.messages
    assert line.startswith("Eligible assignments (7): ")
    assert (line.count("Clerk · /Finance/Payroll · P"), line.endswith("; and 2 more")) == (5, True)
    assert (len(held), bool(advice)) == (7, True)


def test_move_passes_what_is_over(boss, tree):
    finance, payroll, _ledger, technology = tree
    row = EligibleFactory(role=RoleFactory(resource=finance), scope=payroll, ends_at=now() + timedelta(seconds=1))
    EligibleAssignment.objects.update(ended_at=now(), ends_at=now(), end_reason="expired")
    move(payroll, technology, boss)
    row.refresh_from_db()
    with refused("scope_invalid"):
        services.self_renew(assignment=row, actor=row.user, justification="Again, please.")


def test_assign_where_the_scope_was_moved_away_meanwhile_refused(boss, tree):
    finance, payroll, _ledger, technology = tree
    role, stale, somebody = RoleFactory(resource=finance), Resource.objects.get(pk=payroll.pk), UserFactory()
    move(payroll, technology, boss)
    with refused("scope_invalid"):
        services.assign_eligible(actor=boss, holder=somebody, role=role, scope=stale)


def test_activation_where_the_scope_was_moved_away_meanwhile_refused(boss, tree):
    finance, payroll, _ledger, technology = tree
    eligible, stale = EligibleFactory(scope=finance), Resource.objects.get(pk=payroll.pk)
    move(payroll, technology, boss)
    with refused("scope_invalid"):
        services.activate(
            eligible=eligible, actor=eligible.user, scope=stale, duration=timedelta(hours=1), justification=WHY
        )


def test_activation_at_a_scope_that_was_deleted_meanwhile_refused(boss, tree):
    finance, _payroll, ledger, _technology = tree
    eligible, stale = EligibleFactory(scope=finance), Resource.objects.get(pk=ledger.pk)
    services.delete_resource(resource=ledger, actor=boss, justification=WHY)
    with refused("scope_invalid"):
        services.activate(
            eligible=eligible, actor=eligible.user, scope=stale, duration=timedelta(hours=1), justification=WHY
        )


# --- deleting -------------------------------------------------------------------------------------------------


def test_delete_resource_that_was_never_used(boss, tree):
    ledger = tree[2]
    services.delete_resource(resource=ledger, actor=boss, justification=WHY)
    assert not Resource.objects.filter(pk=ledger.pk).exists()
    event = Event.objects.get()
    assert (event.action, event.facts["target"]["id"]) == ("resource.deleted", str(ledger.pk))
    assert event.facts["before"]["label"] == "/Finance/Payroll/Ledger"


def test_delete_of_the_organisation_refused(boss):
    with refused("root_stays"):
        services.delete_resource(resource=root(), actor=boss, justification=WHY)


def child(resource):
    ResourceFactory(parent=resource)


def ended(resource):
    EligibleFactory(scope=resource, ended_at=now(), end_reason="removed")


def settled(resource):
    eligible = EligibleFactory()
    RequestFactory(eligible_assignment=eligible, scope=resource, status=Request.Status.DENIED, settled_at=now())


def earlier_settings(resource):
    RoleSettings.objects.create(role=RoleFactory(), scope=resource, created_at=now(), superseded_at=now())


USES = {
    "Resources beneath it (1)": child,
    "Roles defined here (1)": lambda resource: RoleFactory(resource=resource),
    "Settings of roles (1)": lambda resource: own_settings(RoleFactory(), resource),
    "Earlier settings of roles (1)": earlier_settings,
    "Eligible assignments (1)": lambda resource: EligibleFactory(scope=resource),
    "Active assignments (1)": lambda resource: ActiveFactory(scope=resource),
    "Requests (1)": lambda resource: asked_for(RoleFactory(), resource),
    "Eligible assignments that are over (1)": ended,
    "Requests that are settled (1)": settled,
}


@pytest.mark.parametrize("words", USES)
def test_delete_resource_refused_while_something_points_at_it(boss, words):
    resource = ResourceFactory()
    USES[words](resource)
    with refused("in_use") as refusal:
        services.delete_resource(resource=resource, actor=boss, justification=WHY)
    lines = [line.split(": ")[0] for line in refusal.value.messages]
    assert lines == [
        words,
        "Only what was never used can be deleted. What is over stays for the history, and this with it.",
    ]


def test_delete_resource_refused_while_it_stands_for_a_group(boss):
    place = govern_group(group=GroupFactory(name="On call"), actor=boss)
    lines = services.in_words(services.uses_of_resource(place))
    assert lines == ["Roles defined here (2): Member; Owner", "Group that it stands for (1): On call"]


def test_delete_role_that_was_never_used_takes_its_settings(boss):
    role = RoleFactory()
    services.delete_role(role=role, actor=boss, justification=WHY)
    assert not Role.objects.filter(pk=role.pk).exists()
    assert not RoleSettings.objects.filter(role=role.pk).exists()
    event = Event.objects.get()
    assert (event.action, event.role_id, event.facts["before"]["name"]) == ("role.deleted", role.pk, role.name)


@pytest.mark.parametrize(
    "use",
    [
        lambda role: EligibleFactory(role=role),
        lambda role: ActiveFactory(role=role),
        lambda role: ActiveFactory(role=role, ended_at=now(), end_reason="removed"),
        lambda role: asked_for(role, root()),
    ],
)
def test_delete_role_refused_once_it_was_used(boss, use):
    role = RoleFactory()
    use(role)
    with refused("in_use"):
        services.delete_role(role=role, actor=boss, justification=WHY)


def test_delete_of_a_built_in_role_refused(boss):
    with refused("built_in"):
        services.delete_role(role=Role.objects.built_in(Role.SECURITY_READER), actor=boss, justification=WHY)


def test_delete_of_a_role_of_a_governed_group_refused(boss):
    role = RoleFactory(resource=ResourceFactory(group=GroupFactory()), group_part=Role.GroupPart.MEMBER)
    with refused("governed"):
        services.delete_role(role=role, actor=boss, justification=WHY)


def test_what_a_deleted_group_leaves_is_renamed_and_deleted_as_any_other(boss):
    place = govern_group(group=GroupFactory(name="On call"), actor=boss)
    delete_group(group=place.group, actor=boss, justification=WHY)
    place = Resource.objects.get(pk=place.pk)
    update_resource(resource=place, actor=boss, name="Once on call", kind=place.kind, description="")
    for role in place.roles.all():
        services.delete_role(role=role, actor=boss, justification=WHY)
    services.delete_resource(resource=place, actor=boss, justification=WHY)
    assert not Resource.objects.filter(pk=place.pk).exists()


# --- owners ---------------------------------------------------------------------------------------------------


def owner_of(*places):
    person = UserFactory()
    for place in places:
        ActiveFactory(user=person, role=RoleFactory(resource=place, owns_resource=True, is_privileged=True))
    return person


def test_owner_of_both_places_moves(tree):
    finance, payroll, _ledger, technology = tree
    move(payroll, technology, owner_of(finance, technology))
    assert where(payroll)[0][1] == "/Technology/Payroll"


@pytest.mark.parametrize("owned", [[0], [3], [1, 3]])
def test_move_by_an_owner_of_one_place_alone_refused(tree, owned):
    _finance, payroll, _ledger, technology = tree
    person = owner_of(*(tree[number] for number in owned))
    with refused("not_allowed"):
        move(payroll, technology, person)


def test_owner_deletes_what_was_never_used_beneath(tree):
    finance, _payroll, ledger, _technology = tree
    role, person = RoleFactory(resource=ledger), owner_of(finance)
    services.delete_role(role=role, actor=person, justification=WHY)
    services.delete_resource(resource=ledger, actor=person, justification=WHY)
    assert not Resource.objects.filter(pk=ledger.pk).exists()


def test_delete_by_an_owner_of_another_place_refused(tree):
    _finance, _payroll, ledger, technology = tree
    role, person = RoleFactory(resource=ledger), owner_of(technology)
    with refused("not_allowed"):
        services.delete_role(role=role, actor=person, justification=WHY)
