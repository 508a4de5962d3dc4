"""Emergency access: at once, in the sight of everybody, for a fixed time, and reviewed by somebody else."""

from datetime import UTC, timedelta

import pytest
import time_machine
from django.db import IntegrityError, transaction
from django.utils.timezone import now

from accounts.models import BrowserSession
from accounts.services import note_sign_in
from approvals import services
from approvals.models import EmergencyUse, Request
from approvals.rules import emergency_facts
from approvals.tasks import watch_due
from assignments.models import ActiveAssignment
from audit.models import Event
from notifications.models import Message
from notifications.snapshot import decode
from pim_site import console
from pim_site.duties import tasks_due
from roles.mails import default_notifications
from roles.models import Role, RoleSettings
from roles.services import save_settings
from tests.factories import (
    ActivationFactory,
    EligibleFactory,
    EmergencyUseFactory,
    HookFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
    proof_for,
)
from tests.refusals import refused

pytestmark = pytest.mark.django_db

WHY = "Payments are down."


def guarded(**settings):
    """An eligibility for a role that otherwise asks for all there is."""
    asks = {"approval_required": True, "hook": HookFactory(), "ticket_required": True, "emergency_allowed": True}
    return EligibleFactory(role=RoleFactory(**{f"settings__{name}": each for name, each in (asks | settings).items()}))


def take(eligible, **changes):
    return services.activate_in_emergency(
        **{"eligible": eligible, "actor": eligible.user, "justification": WHY} | changes
    )


def test_emergency_gives_the_role_at_once_for_just_the_time_that_is_set():
    eligible = guarded(emergency_duration=timedelta(hours=2))

    request = take(eligible)

    active = ActiveAssignment.objects.in_force(now()).get()
    assert (request.status, request.active_assignment) == ("provisioned", active)
    assert active.ends_at - active.starts_at == timedelta(hours=2)
    use = EmergencyUse.objects.get()
    assert (use.request, use.user, use.is_drill, use.review_by - use.used_at) == (
        request,
        eligible.user,
        False,
        timedelta(days=7),
    )


def test_emergency_elsewhere_than_one_is_eligible_refused():
    eligible = EligibleFactory(role=RoleFactory(resource=ResourceFactory(), settings__emergency_allowed=True))
    elsewhere = ResourceFactory()

    with refused("scope_invalid"):
        take(eligible, scope=elsewhere)


def test_administrators_and_further_addresses_are_told_whatever_the_settings_say():
    told = default_notifications()
    told["activated"]["admin"] = {"default": False, "also": ["soc@example.org"], "level": "none"}
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    take(guarded(notifications=told), drill=True)
    mails = Message.objects.filter(kind="emergency_used").values_list("to_address", flat=True)
    calendar = decode(Message.objects.filter(kind="emergency_used")[0].context)["calendar"]
    assert f"DTSTART:{EmergencyUse.objects.get().review_by.astimezone(UTC):%Y%m%dT%H%M%SZ}\r\n" in calendar
    assert sorted(mails) == sorted([administrator.email, "soc@example.org"])


def test_emergency_is_recorded():
    request = take(guarded(), drill=True)
    event = Event.objects.get(action="emergency.used")
    assert (event.justification, event.facts["after"]["drill"], event.request_id) == (WHY, True, request.pk)
    activated = Event.objects.get(action="assignment.activated")
    assert (activated.facts["after"]["waiver"], activated.facts["after"]["approvers"]) == ("emergency", [])


def test_emergency_needs_the_setting():
    eligible = guarded(emergency_allowed=False)
    with refused("emergency_not_allowed"):
        take(eligible)


def test_people_for_emergencies_need_no_setting():
    eligible = guarded(emergency_allowed=False)
    eligible.user.is_emergency_access = True
    eligible.user.save()
    assert take(eligible).status == "provisioned"


@pytest.mark.parametrize("why", ["", "  ", "\u200b"])
def test_emergency_needs_a_reason_even_where_the_role_asks_for_none(why):
    eligible = guarded(justification_required=False)
    with refused("justification_required"):
        take(eligible, justification=why)


def test_emergency_needs_the_same_proof_as_always():
    eligible = guarded(activation_authentication="mfa")
    with refused("mfa_required"):
        take(eligible)
    facts = emergency_facts(eligible=eligible, scope=eligible.scope, justification=WHY, drill=False)
    other = proof_for(eligible.user, "emergency.used", **facts | {"drill": True})
    with refused("mfa_required"):
        take(eligible, proof=other, session="this session")
    proof = proof_for(eligible.user, "emergency.used", **facts)
    assert take(eligible, proof=proof, session="this session").proved_with == "totp"


def test_emergency_needs_an_eligibility():
    eligible = guarded()
    stranger = UserFactory(is_emergency_access=True)
    with refused("not_eligible"):
        take(eligible, actor=stranger)


def test_emergency_is_not_held_up_by_what_waits():
    eligible = guarded(hook=None, ticket_required=False)
    asked = services.activate(
        eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="In the usual way."
    )
    assert take(eligible).status == "provisioned"
    asked.refresh_from_db()
    assert asked.status == "pending_approval"


def test_emergency_twice_is_refused():
    eligible = guarded()
    take(eligible)
    with refused("already_active"):
        take(eligible)


def test_validation_stores_nothing():
    eligible = guarded()
    take(eligible, validate_only=True)
    assert (Request.objects.count(), EmergencyUse.objects.count(), Message.objects.count()) == (0, 0, 0)


def test_approval_is_not_waived_by_the_setting_alone():
    """The usual way stays the usual way where a role has emergency access."""
    eligible = guarded(hook=None, ticket_required=False)
    asked = services.activate(
        eligible=eligible, actor=eligible.user, duration=timedelta(hours=1), justification="In the usual way."
    )
    assert (asked.status, ActiveAssignment.objects.count()) == ("pending_approval", 0)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(minutes=45), timedelta(hours=5)])
def test_length_of_an_emergency_is_short(length):
    role, administrator = RoleFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)
    with refused("out_of_range"):
        save_settings(role=role, scope=role.resource, actor=administrator, emergency_duration=length)


# --- review ---------------------------------------------------------------------------------------------------


def tiles():
    return [tile.number for tile in console.watched({"approvals.view_emergencyuse"}, console.FAILING, now())]


def test_use_stays_on_the_dashboard_until_it_is_reviewed():
    use, administrator = EmergencyUseFactory(), holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    assert tiles() == [1, 0]
    with time_machine.travel(now() + timedelta(days=7, seconds=1)):
        assert tiles() == [1, 1]
        services.review_emergency(
            use=use, actor=administrator, finding="unjustified", justification="Nothing was down."
        )
    assert tiles() == [0, 0]
    use.refresh_from_db()
    assert (use.finding, use.comment, use.reviewed_by) == ("unjustified", "Nothing was down.", administrator)
    assert Event.objects.get(action="emergency.reviewed").facts["after"] == {"finding": "unjustified"}


def mails(kind):
    return sorted(Message.objects.filter(kind=kind).values_list("to_address", flat=True))


def test_those_who_owe_a_review_are_reminded_each_week_until_it_is_done():
    user = holder_of(Role.GLOBAL_ADMINISTRATOR)
    use = EmergencyUseFactory(request__eligible_assignment=EligibleFactory(user=user))
    other, start = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR), use.used_at
    done = []
    for days in (6.9, 7, 7.1, 13.9, 14.1, 14.2):
        with time_machine.travel(start + timedelta(days=days), tick=False):
            done.append(watch_due())
    assert (done, mails("emergency_unreviewed")) == ([0, 1, 0, 0, 1, 0], [other.email] * 2)
    assert [event.target_id for event in Event.objects.filter(action="emergency.reminded")] == [str(use.pk)] * 2

    services.review_emergency(use=use, actor=other, finding="justified", justification="Read the log.")

    with time_machine.travel(start + timedelta(days=40), tick=False):
        assert watch_due() == 0


# --- emergency accounts ---------------------------------------------------------------------------------------


def signed_in_for_emergency(**person):
    user = UserFactory(**{"is_emergency_access": True} | person)
    return note_sign_in(user=user, session=str(user.pk), method="totp", agent="Firefox on Linux")


def watched(browser, minutes):
    with time_machine.travel(browser.started_at + timedelta(minutes=minutes), tick=False):
        assert tasks_due(now()) & {"approvals.tasks.watch_due"} == ({"approvals.tasks.watch_due"} if minutes else set())
        return watch_due()


def test_sign_in_for_an_emergency_with_nothing_activated_is_told_once_and_recorded():
    administrator, browser = holder_of(Role.GLOBAL_ADMINISTRATOR), signed_in_for_emergency()
    holder_of(Role.GLOBAL_ADMINISTRATOR, is_active=False)
    assert watched(browser, 0) == 0
    assert (watched(browser, 30), watch_due()) == (1, 0)
    assert mails("emergency_sign_in") == [administrator.email]
    event = Event.objects.get(action="emergency_sign_in.noted")
    assert (event.subject_id, event.facts["after"]["browser"]) == (browser.user_id, "Firefox on Linux")


def test_sign_in_for_an_emergency_that_is_followed_by_an_activation_is_explained():
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    browser = signed_in_for_emergency()
    take(EligibleFactory(user=browser.user))
    assert (watched(browser, 30), mails("emergency_sign_in")) == (0, [])
    assert not tasks_due(browser.started_at + timedelta(days=1)) & {"approvals.tasks.watch_due"}


def test_activation_before_the_sign_in_or_long_after_explains_nothing():
    holder_of(Role.GLOBAL_ADMINISTRATOR)
    with time_machine.travel(now() - timedelta(hours=2)):
        eligible = EligibleFactory(user__is_emergency_access=True)
        take(eligible)
    browser = note_sign_in(user=eligible.user, session="later", method="totp")
    with time_machine.travel(now() + timedelta(minutes=31)):
        ActivationFactory(eligible_assignment=EligibleFactory(user=eligible.user), created_at=now())
    assert watched(browser, 60) == 1


def test_sign_ins_of_others_need_no_explanation():
    browser = signed_in_for_emergency(is_emergency_access=False)
    assert (browser.explain_by, BrowserSession.objects.to_explain(now() + timedelta(days=1)).count()) == (None, 0)


def test_nobody_reviews_their_own_use():
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)
    use = EmergencyUseFactory(request__eligible_assignment=EligibleFactory(user=administrator))
    with refused("own_use"):
        services.review_emergency(use=use, actor=administrator, finding="justified", justification="I had to.")
    with pytest.raises(IntegrityError), transaction.atomic():
        EmergencyUse.objects.update(reviewed_by=administrator, reviewed_at=now(), finding="justified")


def test_use_is_reviewed_once_and_with_words():
    use, administrator = EmergencyUseFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)
    facts = {"use": use, "actor": administrator, "finding": "justified"}
    with refused("justification_required"):
        services.review_emergency(**facts, justification=" ")
    services.review_emergency(**facts, justification="Read the log.")
    with refused("already_reviewed"):
        services.review_emergency(**facts, justification="Read it again.")


def test_settings_of_the_moment_count():
    eligible = guarded()
    RoleSettings.objects.filter(role=eligible.role).update(emergency_allowed=False)
    with refused("emergency_not_allowed"):
        take(eligible)
