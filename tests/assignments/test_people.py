from datetime import timedelta
from functools import partial

import pytest
from django.utils.timezone import now

from accounts.models import EnrolmentTicket, User
from accounts.rules import EnrolmentRefused
from accounts.services import issue_ticket, open_ticket
from assignments import services
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.models import Event
from roles.models import Role
from roles.services import save_settings
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
    stage,
)
from tests.refusals import refused

pytestmark = pytest.mark.django_db

REASON = "Left the company."
NEW = {"username": "ana", "email": "ana@example.org", "display_name": "Ana Alvarez"}


@pytest.fixture
def helpdesk():
    return holder_of(Role.HELPDESK_ADMINISTRATOR)


def actions():
    return list(Event.objects.order_by("id").values_list("action", "outcome"))


def test_disable_person_ends_what_is_active_and_keeps_eligibilities(helpdesk):
    eligible = ActivationFactory().eligible_assignment
    ActiveFactory(user=eligible.user)
    services.disable_person(user=eligible.user, actor=helpdesk, justification=REASON)
    assert not User.objects.get(pk=eligible.user_id).is_active
    reasons = ActiveAssignment.objects.filter(user=eligible.user).values_list("end_reason", flat=True)
    assert list(reasons) == ["holder_disabled"] * 2
    assert EligibleAssignment.objects.get().ended_at is None
    assert actions() == [("assignment.removed", "success")] * 2 + [("person.disabled", "success")]


def test_disable_person_twice_is_refused(helpdesk):
    user = UserFactory(is_active=False)
    with refused("holder_disabled"):
        services.disable_person(user=user, actor=helpdesk, justification=REASON)


def test_disable_person_is_not_for_oneself(helpdesk):
    with refused("self_assignment"):
        services.disable_person(user=helpdesk, actor=helpdesk, justification=REASON)


@pytest.mark.parametrize("key", Role.GUARDED)
def test_disable_person_keeps_the_last_administrator(helpdesk, key):
    last = holder_of(key)
    ActiveFactory(user=last)  # neither is what else they hold taken away
    with refused("last_administrator"):
        services.disable_person(user=last, actor=helpdesk, justification=REASON)


def test_two_administrators_who_disable_each_other_leave_one():
    first, second = (holder_of(Role.GLOBAL_ADMINISTRATOR) for _ in range(2))
    services.disable_person(user=second, actor=first, justification=REASON)
    with refused("not_allowed"):
        services.disable_person(user=first, actor=second, justification=REASON)


def test_enable_person_brings_nothing_back_in_force(helpdesk):
    active = ActivationFactory()
    User.objects.filter(pk=active.user_id).update(is_active=False)
    services.enable_person(user=active.user, actor=helpdesk, justification="Came back.")
    assert User.objects.get(pk=active.user_id).is_active
    assert not ActiveAssignment.objects.in_force(now()).filter(user=active.user).exists()
    assert EligibleAssignment.objects.in_force(now()).count() == 1


def disabled(user, actor):
    services.disable_person(user=user, actor=actor, justification=REASON)


def disabled_past_the_site(user, actor):
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("shut_out", [disabled, disabled_past_the_site])
def test_who_is_enabled_again_is_signed_in_nowhere_and_no_link_from_before_counts(helpdesk, client, shut_out):
    user, other = UserFactory(), UserFactory()
    signed_in(client, user)
    links = [issuing(user, helpdesk)(), issue_ticket(user=other, actor=user)]
    shut_out(user, helpdesk)
    services.enable_person(user=user, actor=helpdesk, justification="Came back.")
    assert client.get("/").url == "/sign-in/?next=/"
    assert [counts(link) for link in links] == [False, False]


def counts(link):
    try:
        return bool(open_ticket(link))
    except EnrolmentRefused:
        return False


def test_links_issued_by_who_is_disabled_do_not_count(helpdesk):
    issuer = holder_of(Role.HELPDESK_ADMINISTRATOR)
    link = issuing(UserFactory(), issuer)()
    services.disable_person(user=issuer, actor=helpdesk, justification=REASON)
    assert not counts(link)


def test_enable_person_who_is_enabled_is_refused(helpdesk):
    user = UserFactory()
    with refused("already_enabled"):
        services.enable_person(user=user, actor=helpdesk, justification="Came back.")


def test_enable_person_is_not_for_oneself(helpdesk):
    User.objects.filter(pk=helpdesk.pk).update(is_active=False)
    with refused("not_allowed"):
        services.enable_person(user=helpdesk, actor=helpdesk, justification="Came back.")


# --- enrolment links ------------------------------------------------------------------------------------------

WHY = "Lost the phone."


def issuing(user, actor, **differs):
    """The act, with the proof that was made for it."""
    proof = proof_for(actor, "enrolment.issued", person=user.pk, justification=WHY)
    arguments = {"user": user, "actor": actor, "justification": WHY, "proof": proof, "session": "this session"}
    return partial(services.issue_enrolment, **arguments | differs)


@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({"justification": " . "}, "justification_required"),
        ({"justification": "Something else."}, "mfa_required"),
        ({"proof": None}, "mfa_required"),
        ({"session": "another"}, "mfa_required"),
    ],
    ids=["no reason", "other reason", "no proof", "other session"],
)
def test_issue_enrolment_needs_a_reason_and_a_proof_for_it(helpdesk, differs, code):
    issue = issuing(UserFactory(), helpdesk, **differs)
    with refused(code):
        issue()


def test_issue_enrolment_validated_only_stores_nothing(helpdesk):
    services.issue_enrolment(user=UserFactory(), actor=helpdesk, justification=WHY, validate_only=True)
    assert (EnrolmentTicket.objects.count(), actions()) == (0, [])


def test_proof_for_one_persons_link_issues_none_for_another(helpdesk):
    proof = proof_for(helpdesk, "enrolment.issued", person=UserFactory().pk, justification=WHY)
    issue = issuing(UserFactory(), helpdesk, proof=proof)
    with refused("mfa_required"):
        issue()


def test_issue_enrolment_for_an_ordinary_person(helpdesk):
    user = EligibleFactory().user
    secret = issuing(user, helpdesk)()
    assert open_ticket(secret).user == user
    assert actions() == [("enrolment.issued", "success")]
    event = Event.objects.get()
    assert event.justification == WHY
    assert secret not in event.canonical


def privileged():
    return RoleFactory(is_privileged=True)


def approver(**settings):
    user = UserFactory()
    RoleFactory(settings__approvers=[user], **settings)
    return user


POWERFUL = {
    "holds": lambda: ActiveFactory(role=privileged()).user,
    "can activate": lambda: EligibleFactory(role=privileged()).user,
    "will be able to": lambda: EligibleFactory(role=privileged(), starts_at=now() + timedelta(days=9)).user,
    "administers": lambda: holder_of(Role.GLOBAL_ADMINISTRATOR),
    "approves": lambda: approver(settings__approval_required=True),
    "may come to approve": approver,
    "approves in a group": lambda: member(GroupFactory(members=[UserFactory()])),
}


def member(group):
    return group.members.get()


@pytest.mark.parametrize("make", POWERFUL.values(), ids=POWERFUL)
def test_helpdesk_cannot_issue_enrolment_for_who_has_power(helpdesk, make):
    user = make()
    issue = issuing(user, helpdesk)
    with refused("not_allowed"):
        issue()


@pytest.mark.parametrize("field", ["username", "email"])
@pytest.mark.parametrize("make", POWERFUL.values(), ids=POWERFUL)
def test_helpdesk_cannot_change_as_whom_somebody_with_power_is_known(helpdesk, make, field):
    user = make()
    with refused("not_allowed"):
        services.update_person(user=user, actor=helpdesk, **{field: "mine@example.org"})


def test_helpdesk_changes_the_name_of_somebody_with_power(helpdesk):
    user = POWERFUL["holds"]()
    services.update_person(user=user, actor=helpdesk, username=user.username, email=user.email, display_name="Ana Berg")
    user.refresh_from_db()
    assert user.display_name == "Ana Berg"


@pytest.mark.parametrize("make", POWERFUL.values(), ids=POWERFUL)
def test_role_administrator_issues_enrolment_for_anybody(make):
    user, actor = make(), holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    issuing(user, actor)()
    assert EnrolmentTicket.objects.get().issued_by == actor


# --- managers who approve -------------------------------------------------------------------------------------


@pytest.fixture
def managers_approve():
    return RoleFactory(settings__approval_required=True, settings__stages=[stage(asks_manager=True)])


def test_helpdesk_chooses_no_manager_where_managers_approve(helpdesk, managers_approve):
    user = UserFactory()
    with refused("not_allowed"):
        services.create_person(actor=helpdesk, manager=helpdesk, **NEW)
    with refused("not_allowed"):
        services.update_person(user=user, actor=helpdesk, manager=helpdesk)
    assert not User.objects.exclude(manager=None).exists()


def test_helpdesk_chooses_the_manager_where_managers_approve_nothing(helpdesk):
    assert services.create_person(actor=helpdesk, manager=helpdesk, **NEW).manager == helpdesk


@pytest.mark.parametrize("act", ["create", "update"])
def test_link_by_helpdesk_does_not_count_for_who_becomes_a_manager_that_approves(helpdesk, managers_approve, act):
    boss, administrator = UserFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)
    link = issuing(boss, helpdesk)()
    if act == "create":
        services.create_person(actor=administrator, manager=boss, **NEW)
    else:
        services.update_person(user=UserFactory(), actor=administrator, manager=boss)
    assert not counts(link)


def test_link_by_helpdesk_does_not_count_for_a_manager_who_comes_to_approve(helpdesk):
    role, boss = RoleFactory(), UserFactory()
    link, other = issuing(boss, helpdesk)(), issuing(UserFactory(manager=boss), helpdesk)()
    terms = {"approval_required": True, "stages": [stage(asks_manager=True)]}
    administrator = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    save_settings(role=role, scope=role.resource, actor=administrator, **terms)
    assert [counts(link), counts(other)] == [False, True]


def test_helpdesk_issues_enrolment_for_who_had_power_once(helpdesk):
    user = EligibleFactory(role=privileged(), ended_at=now(), end_reason="removed").user
    issuing(user, helpdesk)()
    assert EnrolmentTicket.objects.get().user == user


@pytest.mark.parametrize(
    ("differs", "code"), [({"is_active": False}, "holder_disabled"), ({"kind": "service"}, "holder_invalid")]
)
def test_issue_enrolment_needs_a_person_who_may_sign_in(helpdesk, differs, code):
    user = UserFactory(**differs)
    issue = issuing(user, helpdesk)
    with refused(code):
        issue()


def test_issue_enrolment_is_not_for_oneself():
    actor = holder_of(Role.GLOBAL_ADMINISTRATOR)
    issue = issuing(actor, actor)
    with refused("self_assignment"):
        issue()
