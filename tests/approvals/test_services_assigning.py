from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.utils.timezone import now

from accounts.models import User
from approvals import services
from approvals.models import Request
from approvals.services.assigning import assign_facts
from assignments.models import ActiveAssignment, EligibleAssignment
from assignments.rules import Terms
from audit.models import Event
from notifications.models import Message
from roles.models import Role
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
)
from tests.refusals import refused, snapshot

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
ASSIGN = pytest.mark.parametrize(
    "verb", [services.assign_eligible, services.assign_active], ids=["assign_eligible", "assign_active"]
)


@pytest.fixture
def administrator():
    return holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)


@pytest.fixture
def helpdesk():
    return holder_of(Role.HELPDESK_ADMINISTRATOR)


def terms(actor, **differs):
    """Arguments of an assignment that is allowed."""
    role = differs.pop("role", None) or RoleFactory(**differs.pop("settings", {}))
    facts = {
        "holder": UserFactory(),
        "role": role,
        "scope": role.resource,
        "actor": actor,
        "justification": "Takes over.",
    }
    return facts | differs


def actions():
    return list(Event.objects.order_by("id").values_list("action", "outcome"))


def mails():
    return sorted(Message.objects.values_list("kind", "to_address"))


# --- assigning ------------------------------------------------------------------------------------------------


@ASSIGN
def test_assign_keeps_the_request_with_what_it_made(verb, administrator):
    asked = terms(administrator, ends_at=now() + 30 * DAY)
    request = verb(**asked)
    request.refresh_from_db()
    made = request.eligible_assignment or request.active_assignment
    assert (request.action, request.status, request.requester) == ("admin_assign", "provisioned", administrator)
    assert (made.user, made.role, made.scope) == (asked["holder"], asked["role"], asked["scope"])
    action = verb.__name__.replace("assign_", "") + ".assigned"
    assert actions() == [(action, "success")]
    assert Event.objects.get().request_id == request.pk
    kind = action.replace(".", "_")
    assert mails() == sorted([(kind, asked["holder"].email), (kind, administrator.email)])


@ASSIGN
def test_assign_a_role_that_was_deleted_meanwhile(verb, administrator):
    asked = terms(administrator)
    Role.objects.filter(pk=asked["role"].pk).delete()
    with refused("role_deleted"):
        verb(**asked)


@ASSIGN
def test_assign_for_later_is_scheduled(verb, administrator):
    request = verb(**terms(administrator, starts_at=now() + DAY))
    assert request.status == "scheduled"


WEST = timezone(timedelta(hours=-12))
LIMITS = {f"settings__permanent_{kind}_allowed": False for kind in ("eligible", "active")}
REFUSED = {
    "past start": ({"starts_at": now() - DAY}, "schedule_invalid"),
    "end before start": ({"starts_at": now() + DAY, "ends_at": now() + DAY / 2}, "schedule_invalid"),
    "end now": ({"ends_at": now()}, "schedule_invalid"),
    "too short": ({"starts_at": now() + DAY, "ends_at": now() + DAY + timedelta(minutes=4)}, "too_short"),
    "naive start": ({"starts_at": datetime(2027, 1, 1)}, "schedule_invalid"),
    "naive end": ({"ends_at": datetime(2027, 1, 1)}, "schedule_invalid"),
    "start at the end of time": ({"starts_at": datetime.max.replace(tzinfo=WEST)}, "schedule_invalid"),
    "start at the beginning of time": ({"starts_at": datetime.min.replace(tzinfo=UTC)}, "schedule_invalid"),
    "end at the end of time": ({"ends_at": datetime.max.replace(tzinfo=WEST)}, "schedule_invalid"),
    "permanent": ({"settings": LIMITS}, "permanent_not_allowed"),
    "too long": ({"settings": LIMITS, "ends_at": now() + 366 * DAY}, "too_long"),
    "endless reason": ({"justification": "x" * 2001}, "too_long_text"),
}


@ASSIGN
@pytest.mark.parametrize(("differs", "code"), REFUSED.values(), ids=REFUSED)
def test_assign_refused(verb, differs, code, administrator):
    asked = terms(administrator, **differs)
    with refused(code):
        verb(**asked)


@ASSIGN
def test_assign_to_oneself(verb, administrator):
    asked = terms(administrator, holder=administrator)
    with refused("self_assignment"):
        verb(**asked)


@ASSIGN
def test_assign_to_who_is_disabled(verb, administrator):
    asked = terms(administrator)
    User.objects.filter(pk=asked["holder"].pk).update(is_active=False)
    with refused("holder_disabled"):
        verb(**asked)


def test_assign_a_service_account_as_active_only(administrator):
    asked = terms(administrator, holder=UserFactory(kind="service"))
    with refused("holder_invalid"):
        services.assign_eligible(**asked)
    assert services.assign_active(**asked).status == Request.Status.PROVISIONED


@ASSIGN
def test_assign_at_a_scope_of_another_tree(verb, administrator):
    asked = terms(administrator, role=RoleFactory(resource=ResourceFactory())) | {"scope": ResourceFactory()}
    with refused("scope_invalid"):
        verb(**asked)


@ASSIGN
def test_assign_at_the_settings_of_another_resources_role(verb, administrator):
    """The role of one branch cannot be used at the root, although the root has settings of its own for other roles."""
    asked = terms(administrator, role=RoleFactory(resource=ResourceFactory()))
    asked["scope"] = asked["role"].resource.parent
    with refused("scope_invalid"):
        verb(**asked)


@ASSIGN
def test_assign_twice(verb, administrator):
    asked = terms(administrator)
    verb(**asked)
    with refused("already_assigned"):
        verb(**asked)


@pytest.mark.parametrize("justification", ["", " ", "\u200b", "-"], ids=ascii)
def test_assign_active_needs_a_reason(justification, administrator):
    asked = terms(administrator, justification=justification)
    with refused("justification_required"):
        services.assign_active(**asked)


@ASSIGN
def test_assign_validate_only_answers_alike_and_stores_nothing(verb, administrator):
    asked, before = terms(administrator, starts_at=now() + DAY), snapshot()
    request = verb(**asked, validate_only=True)
    assert (request.status, request.holder, snapshot()) == ("scheduled", asked["holder"], before)
    verb(**asked)
    with refused("already_assigned"):
        verb(**asked, validate_only=True)


def test_assign_active_validate_only_asks_for_no_proof(administrator):
    asked = terms(administrator, settings={"settings__assign_active_mfa_required": True})
    assert services.assign_active(**asked, validate_only=True).proved_with == ""


# --- who may assign -------------------------------------------------------------------------------------------


def test_helpdesk_assigns_eligible_for_ordinary_roles_only(helpdesk):
    services.assign_eligible(**terms(helpdesk))
    privileged = terms(helpdesk, role=RoleFactory(is_privileged=True))
    with refused("not_allowed"):
        services.assign_eligible(**privileged)


@pytest.mark.parametrize("key", [Role.GLOBAL_ADMINISTRATOR, Role.HELPDESK_ADMINISTRATOR])
def test_helpdesk_cannot_make_administrators(helpdesk, key):
    asked = terms(helpdesk, role=Role.objects.built_in(key))
    with refused("not_allowed"):
        services.assign_eligible(**asked)


def test_helpdesk_assigns_nothing_as_active_and_removes_nothing(helpdesk):
    asked, eligible, active = terms(helpdesk), EligibleFactory(), ActiveFactory()
    with refused("not_allowed"):
        services.assign_active(**asked)
    with refused("not_allowed"):
        services.remove_eligible(eligible=eligible, actor=helpdesk, justification="Because.")
    with refused("not_allowed"):
        services.remove_active(active=active, actor=helpdesk, justification="Because.")


@ASSIGN
@pytest.mark.parametrize("key", [None, Role.SECURITY_READER])
def test_assign_by_who_may_not(verb, key):
    asked = terms(holder_of(key) if key else UserFactory())
    with refused("not_allowed"):
        verb(**asked)


@ASSIGN
def test_assign_by_who_only_could_activate_the_right(verb):
    role = Role.objects.built_in(Role.GLOBAL_ADMINISTRATOR)
    asked = terms(EligibleFactory(role=role).user)
    with refused("not_allowed"):
        verb(**asked)


@ASSIGN
def test_assign_by_who_administers_a_branch_only(verb):
    role = Role.objects.built_in(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    asked = terms(ActiveFactory(role=role, scope=ResourceFactory()).user)
    with refused("not_allowed"):
        verb(**asked)


# --- with a proof ---------------------------------------------------------------------------------------------


def proved(administrator, **differs):
    asked = terms(administrator, settings={"settings__assign_active_mfa_required": True})
    facts = {name: asked[name] for name in ("holder", "role", "scope", "justification")}
    facts |= {"starts_at": None, "ends_at": None}
    proof = proof_for(administrator, "active.assigned", **assign_facts(Terms(**facts | differs)))
    return asked | {"proof": proof, "session": "this session"}


def test_assign_active_with_a_proof(administrator):
    request = services.assign_active(**proved(administrator))
    assert (request.status, request.proved_with) == ("provisioned", "totp")


@pytest.mark.parametrize(
    "differs",
    [{"ends_at": now() + DAY}, {"starts_at": now() + DAY}, {"justification": "Something else."}],
    ids=["end", "start", "reason"],
)
def test_assign_active_refuses_a_proof_made_for_something_else(administrator, differs):
    asked = proved(administrator, **differs)
    with refused("mfa_required"):
        services.assign_active(**asked)


def test_assign_active_refuses_a_proof_made_for_somebody_else(administrator):
    asked = proved(administrator, holder=UserFactory())
    with refused("mfa_required"):
        services.assign_active(**asked)


def test_assign_active_refuses_no_proof(administrator):
    asked = proved(administrator) | {"proof": None}
    with refused("mfa_required"):
        services.assign_active(**asked)


# --- removing -------------------------------------------------------------------------------------------------


def test_remove_eligible_takes_the_activation_with_it(administrator):
    active = ActivationFactory()
    request = services.remove_eligible(
        eligible=active.eligible_assignment, actor=administrator, justification="Moved on."
    )
    assert (request.action, request.status) == ("admin_remove", "revoked")
    assert actions() == [("assignment.removed", "success"), ("eligible.removed", "success")]
    assert set(Event.objects.values_list("request_id", flat=True)) == {request.pk}
    user = active.user.email
    expected = [("role_ended", user), ("assignment_removed", user), ("assignment_removed", administrator.email)]
    assert mails() == sorted(expected)


def test_remove_active_ends_it(administrator):
    active = ActiveFactory()
    request = services.remove_active(active=active, actor=administrator, justification="Moved on.")
    assert (request.status, ActiveAssignment.objects.in_force(now()).filter(pk=active.pk).exists()) == (
        "revoked",
        False,
    )
    assert actions() == [("assignment.removed", "success")]


def removal(row, actor, justification="Moved on."):
    verb, name = (services.remove_eligible, "eligible"), (services.remove_active, "active")
    function, argument = verb if isinstance(row, EligibleAssignment) else name
    return lambda: function(**{argument: row}, actor=actor, justification=justification)


ROWS = pytest.mark.parametrize("factory", [EligibleFactory, ActiveFactory, ActivationFactory])


@ROWS
def test_remove_needs_a_reason(factory, administrator):
    remove = removal(factory(), administrator, " ")
    with refused("justification_required"):
        remove()


@ROWS
@pytest.mark.parametrize(
    "times", [{"ended_at": now(), "end_reason": "removed"}, {"ends_at": now()}], ids=["ended", "past its end"]
)
def test_remove_what_has_ended(factory, times, administrator):
    remove = removal(factory(**{"starts_at": now() - DAY} | times), administrator)
    with refused("already_ended"):
        remove()


@pytest.mark.parametrize("key", Role.GUARDED)
def test_remove_the_last_administrator(key):
    actor = holder_of(next(other for other in Role.GUARDED if other != key))
    assigned = removal(ActiveAssignment.objects.get(user=holder_of(key)), actor)
    with refused("last_administrator"):
        assigned()


@pytest.mark.parametrize("key", Role.GUARDED)
def test_remove_the_eligibility_that_the_last_administrator_activated(key):
    actor = holder_of(next(other for other in Role.GUARDED if other != key))
    active = ActivationFactory(eligible_assignment__role=Role.objects.built_in(key))
    for row in (active.eligible_assignment, active):
        remove = removal(row, actor)
        with refused("last_administrator"):
            remove()


def test_two_administrators_remove_each_other():
    first, second = (holder_of(Role.GLOBAL_ADMINISTRATOR) for _ in range(2))
    rows = {person: ActiveAssignment.objects.get(user=person) for person in (first, second)}
    removal(rows[second], first)()
    remove = removal(rows[first], second)
    with refused("not_allowed"):
        remove()
    remove = removal(rows[first], first)
    with refused("last_administrator"):
        remove()
