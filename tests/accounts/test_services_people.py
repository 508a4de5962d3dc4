import pytest
from django.core.exceptions import ValidationError

from accounts import services
from accounts.models import EnrolmentTicket, Group, User
from assignments.services import create_person, update_group, update_person
from audit.models import Event
from notifications.models import Message
from roles.models import Role
from tests.factories import GroupFactory, TotpDeviceFactory, UserFactory, holder_of
from tests.refusals import refused

pytestmark = pytest.mark.django_db

PERSON = {"username": "ana", "email": "ana@example.org", "display_name": "Ana Alvarez"}


def helpdesk():
    return holder_of(Role.HELPDESK_ADMINISTRATOR)


def role_administrator():
    return holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)


def events():
    return list(Event.objects.order_by("id").values_list("action", "outcome", "code"))


def told():
    return list(Message.objects.order_by("to_address").values_list("kind", "to_address"))


# --- people ---------------------------------------------------------------------------------------------------


def test_create_person_makes_one_who_cannot_sign_in_yet():
    person = create_person(actor=helpdesk(), **PERSON)

    assert (person.username, person.email, person.is_active, person.kind) == ("ana", "ana@example.org", True, "person")
    assert not person.has_usable_password()
    assert events() == [("person.created", "success", "")]
    assert told() == [("account_created", "ana@example.org")]


def test_create_service_account_tells_nobody():
    create_person(actor=helpdesk(), kind=User.Kind.SERVICE, **PERSON)
    assert told() == []


@pytest.mark.parametrize(
    "differs",
    [
        {"username": ""},
        {"username": "two words"},
        {"username": "x" * 151},
        {"email": "no address"},
        {"email": ""},
        {"display_name": " "},
        {"display_name": "x" * 151},
        {"kind": "robot"},
    ],
    ids=str,
)
def test_create_person_refuses_wrong_fields(differs):
    actor = helpdesk()
    with pytest.raises(ValidationError):
        create_person(actor=actor, **PERSON | differs)
    assert list(User.objects.all()) == [actor]


def test_nobody_becomes_their_own_manager():
    person, actor = UserFactory(), helpdesk()
    with refused("own_manager"):
        update_person(user=person, actor=actor, manager=person)
    assert User.objects.get(pk=person.pk).manager is None


@pytest.mark.parametrize(
    "taken",
    [
        {"username": "ANA"},
        {"email": "Ana@Example.org"},
        {"username": "ana@example.org"},  # people sign in by either, so one's name is never another's address
    ],
    ids=str,
)
def test_create_person_refuses_a_name_that_means_somebody_else(taken):
    UserFactory(**taken)
    with pytest.raises(ValidationError):
        create_person(actor=None, **PERSON)
    assert not User.objects.filter(display_name="Ana Alvarez").exists()


def test_create_person_refuses_a_username_that_is_anothers_address():
    UserFactory(email="boss@example.org")
    with refused("name_taken"):
        create_person(actor=None, **PERSON | {"username": "boss@example.org"})


def test_update_person_changes_only_what_is_given():
    user = UserFactory(**PERSON)
    update_person(user=user, actor=helpdesk(), display_name="Ana Berg")
    user.refresh_from_db()
    assert (user.username, user.email, user.display_name) == ("ana", "ana@example.org", "Ana Berg")
    (event,) = Event.objects.all()
    assert [change for change in event.changes if change.differs] == [("display_name", "Ana Alvarez", "Ana Berg")]


@pytest.mark.parametrize("field", ["is_active", "kind", "password", "id", "last_sign_in_at"])
def test_update_person_has_no_way_around_the_other_operations(field):
    with pytest.raises(TypeError, match=field):
        update_person(user=UserFactory(), actor=None, **{field: None})


def test_update_person_by_helpdesk_cannot_mark_an_emergency_account():
    user, actor = UserFactory(), helpdesk()
    with refused("not_allowed"):
        update_person(user=user, actor=actor, is_emergency_access=True)
    assert not User.objects.get(pk=user.pk).is_emergency_access
    assert events() == [("person.updated", "refused", "not_allowed")]


def test_create_person_by_helpdesk_cannot_make_an_emergency_account():
    actor = helpdesk()
    with refused("not_allowed"):
        create_person(actor=actor, is_emergency_access=True, **PERSON)


# --- groups ---------------------------------------------------------------------------------------------------


def change(group, actor, **changes):
    facts = {"name": group.name, "description": "", "owners": [], "members": [], "is_protected": group.is_protected}
    return update_group(group=group, actor=actor, **facts | changes)


def test_create_group_by_helpdesk():
    member = UserFactory()
    group = services.create_group(actor=helpdesk(), name=" Night shift ", members=[member])
    assert (group.name, group.is_protected, list(group.members.all())) == ("Night shift", False, [member])
    assert events() == [("group.created", "success", "")]


def test_create_group_refuses_a_taken_name():
    GroupFactory(name="Night shift")
    with pytest.raises(ValidationError):
        services.create_group(actor=None, name="NIGHT SHIFT")
    assert Group.objects.count() == 1


@pytest.mark.parametrize("protect", [{"is_protected": True}, {"is_protected": False}])
def test_helpdesk_cannot_change_a_protected_group(protect):
    group, member, actor = GroupFactory(is_protected=True), UserFactory(), helpdesk()
    with refused("not_allowed"):
        change(group, actor, members=[member], **protect)
    assert events() == [("group.updated", "refused", "not_allowed")]


def test_helpdesk_cannot_make_a_group_protected():
    group, actor = GroupFactory(is_protected=False), helpdesk()
    with refused("not_allowed"):
        change(group, actor, is_protected=True)
    with refused("not_allowed"):
        services.create_group(actor=actor, name="Approvers", is_protected=True)


@pytest.mark.parametrize("place", ["members", "owners"])
def test_nobody_puts_themselves_into_a_protected_group(place):
    actor, group = role_administrator(), GroupFactory(is_protected=True)
    with refused("self_assignment"):
        change(group, actor, **{place: [actor]})


def test_nobody_protects_a_group_that_they_are_in():
    actor = role_administrator()
    group = GroupFactory(is_protected=False, members=[actor])
    with refused("self_assignment"):
        change(group, actor, members=[actor], is_protected=True)


def test_nobody_takes_the_protection_off_to_get_in():
    actor, group = role_administrator(), GroupFactory(is_protected=True)
    with refused("self_assignment"):
        change(group, actor, members=[actor], is_protected=False)


def test_nobody_makes_a_protected_group_around_themselves():
    actor = role_administrator()
    with refused("self_assignment"):
        services.create_group(actor=actor, name="Approvers", members=[actor], is_protected=True)


def test_who_is_in_a_protected_group_may_change_others_in_it():
    actor, other = role_administrator(), UserFactory()
    group = GroupFactory(is_protected=True, members=[actor])
    change(group, actor, members=[actor, other])
    assert set(group.members.all()) == {actor, other}


# --- enrolment tickets ----------------------------------------------------------------------------------------


def test_issue_ticket_ends_the_one_before():
    user = UserFactory()
    first = services.issue_ticket(user=user, actor=None)
    second = services.issue_ticket(user=user, actor=None)
    assert services.open_ticket(second).user == user
    with pytest.raises(ValidationError) as refusal:
        services.open_ticket(first)
    assert refusal.value.code == "ticket_invalid"


def test_issue_ticket_keeps_a_digest_only():
    secret = services.issue_ticket(user=UserFactory(), actor=None)
    assert secret not in str(EnrolmentTicket.objects.values())


@pytest.mark.parametrize("member_of", ["created", "updated"])
def test_becoming_an_approver_withdraws_a_link_of_the_helpdesk(member_of):
    user = UserFactory()
    secret = services.issue_ticket(user=user, actor=helpdesk())
    if member_of == "created":
        services.create_group(actor=None, name="Approvers", members=[user], is_protected=True)
    else:
        change(GroupFactory(is_protected=True), None, members=[user])
    with pytest.raises(ValidationError):
        services.open_ticket(secret)


def test_becoming_an_approver_keeps_a_link_of_a_role_administrator():
    user = UserFactory()
    secret = services.issue_ticket(user=user, actor=role_administrator())
    services.create_group(actor=None, name="Approvers", members=[user], is_protected=True)
    assert services.open_ticket(secret).user == user


def test_rotate_keys_is_for_the_system_alone():
    TotpDeviceFactory()
    actor = holder_of(Role.GLOBAL_ADMINISTRATOR)
    with refused("not_allowed"):
        services.rotate_keys(actor=actor)
