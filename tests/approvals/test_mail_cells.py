"""The nine notification cells govern every mail about a role: all of them, through the services that send them."""

import itertools
from datetime import timedelta
from functools import partial

import pytest
from django.utils.timezone import now

from accounts.models import User
from approvals import services
from approvals.models import Request
from assignments import services as assignments
from assignments.models import ActiveAssignment, EligibleAssignment
from notifications.models import Kind, Message
from roles.mails import AUDIENCES, EVENTS, LEVELS, MAILS, default_notifications
from roles.models import ApprovalStage, Role
from tests.factories import ActivationFactory, ActiveFactory, EligibleFactory, RoleFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db

ALSO = "soc@example.org"
DEFAULTS = {"admin": "admin@example.org", "requestor": "holder@example.org", "approver": "approver@example.org"}


class Stage:
    """A role with given cells, and the three whom its mails are for."""

    def __init__(self, cells):
        self.admin = holder_of(Role.GLOBAL_ADMINISTRATOR, username="admin")
        self.holder, self.approver = UserFactory(username="holder"), UserFactory(username="approver")
        self.second = UserFactory(username="second")
        self.role = RoleFactory(settings__notifications=cells, settings__approvers=[self.approver, self.second])
        Message.objects.all().delete()

    def where(self):
        return {"user": self.holder, "role": self.role}

    def asked(self):
        self.role.settings.update(approval_required=True)
        eligible = EligibleFactory(**self.where())
        return services.activate(
            eligible=eligible, actor=self.holder, duration=timedelta(hours=1), justification="Stuck."
        )


def assign(stage, verb):
    facts = {"holder": stage.holder, "role": stage.role, "scope": stage.role.resource, "actor": None}
    verb(**facts, justification="Takes over.")


def ending(stage, factory):
    return factory(**stage.where(), starts_at=now() - timedelta(days=60), ends_at=now() + timedelta(hours=20))


def over(stage, factory):
    return factory(**stage.where(), starts_at=now() - timedelta(days=60), ends_at=now() - timedelta(seconds=1))


def remove_active(stage):
    services.remove_active(active=ActiveFactory(**stage.where()), actor=stage.admin, justification="Left.")


def remove_eligible(stage):
    services.remove_eligible(eligible=EligibleFactory(**stage.where()), actor=stage.admin, justification="Left.")


def activate(stage):
    eligible = EligibleFactory(**stage.where())
    services.activate(eligible=eligible, actor=stage.holder, duration=timedelta(hours=1), justification="Stuck.")


def end(stage):
    active = ActivationFactory(eligible_assignment=EligibleFactory(**stage.where()))
    services.deactivate(active=active, actor=stage.admin, justification="Enough.")


def decide(stage):
    services.deny(request=stage.asked(), actor=stage.second, justification="Not now.")


def fail(stage):
    request = stage.asked()
    EligibleAssignment.objects.update(ends_at=now())
    services.approve(request=request, actor=stage.second, justification="Go on.")


def cancel(stage):
    request = stage.asked()
    Message.objects.update(state="sent")
    services.cancel(request=request, actor=stage.admin, justification="Not needed.")


def time_out(stage):
    request = stage.asked()
    type(request).objects.update(requested_at=now() - timedelta(hours=25), expires_at=now() - timedelta(hours=1))
    services.time_out(request=request, actor=None)


def near_its_end(stage, factory):
    return factory(**stage.where(), starts_at=now() - timedelta(days=60), ends_at=now() + timedelta(days=7))


def extend(stage, factory):
    later = {"ends_at": now() + timedelta(days=60), "justification": "Still needed."}
    services.extend(assignment=near_its_end(stage, factory), actor=None, **later)


def ask_extension(stage, factory):
    row = near_its_end(stage, factory)
    return services.self_extend(assignment=row, actor=stage.holder, justification="Still on call.")


def other_administrator():
    """Who decides, and so is not told."""
    there = User.objects.filter(username="colleague").first()
    return there or holder_of(Role.GLOBAL_ADMINISTRATOR, username="colleague")


def deny_extension(stage, factory):
    request = ask_extension(stage, factory)
    services.deny_extension(request=request, actor=other_administrator(), justification="No more.")


def cancel_extension(stage, factory):
    request = ask_extension(stage, factory)
    Message.objects.update(state="sent")
    services.cancel(request=request, actor=other_administrator(), justification="No more.")


def let_lapse(stage, factory):
    request = ask_extension(stage, factory)
    factory._meta.model.objects.filter(role=stage.role).update(ends_at=now() - timedelta(days=30))
    services.lapse(request=request, actor=None)


EXTENDING = {
    "assignment_updated": extend,
    "extension_asked": ask_extension,
    "extension_decided": deny_extension,
    "request_canceled": cancel_extension,
    "request_timed_out": let_lapse,
}


def pass_stage(stage):
    request = stage.asked()
    second, _made = ApprovalStage.objects.get_or_create(settings=request.settings, number=2)
    second.approvers.add(stage.second)
    services.approve(request=request, actor=stage.approver, justification="Go on.")


def remind(stage):
    request = stage.asked()
    Request.objects.filter(pk=request.pk).update(remind_at=now())
    services.remind(request=request, actor=None)


def nearly_over(stage):
    at = now().replace(microsecond=0)
    times = {"starts_at": at - timedelta(hours=1), "ends_at": at + timedelta(minutes=4)}
    return ActivationFactory(eligible_assignment=EligibleFactory(**stage.where()), **times)


def prolong(stage):
    services.extend_activation(
        active=nearly_over(stage), actor=stage.holder, duration=timedelta(hours=1), justification="Still stuck."
    )


# What makes each mail go out.
CAUSES = {
    ("eligible_assigned", "eligible_assigned"): lambda stage: assign(stage, services.assign_eligible),
    ("assignment_removed", "eligible_assigned"): remove_eligible,
    ("assignment_expiring", "eligible_assigned"): lambda stage: assignments.remind(
        assignment=ending(stage, EligibleFactory), days=1
    ),
    ("assignment_expired", "eligible_assigned"): lambda stage: assignments.expire_eligible(
        eligible=over(stage, EligibleFactory), actor=None
    ),
    ("active_assigned", "active_assigned"): lambda stage: assign(stage, services.assign_active),
    ("role_ended", "active_assigned"): remove_active,
    ("assignment_expiring", "active_assigned"): lambda stage: assignments.remind(
        assignment=ending(stage, ActiveFactory), days=1
    ),
    ("assignment_expired", "active_assigned"): lambda stage: assignments.expire_active(
        active=over(stage, ActiveFactory), actor=None
    ),
    ("role_activated", "activated"): activate,
    ("role_ended", "activated"): end,
    ("activation_extended", "activated"): prolong,
    ("activation_ending", "activated"): lambda stage: assignments.remind_of_end(active=nearly_over(stage)),
    ("stage_passed", "activated"): pass_stage,
    ("request_decided", "activated"): decide,
    ("request_failed", "activated"): fail,
    ("request_canceled", "activated"): cancel,
    ("request_timed_out", "activated"): time_out,
    ("approval_asked", "activated"): Stage.asked,
    ("approval_reminder", "activated"): remind,
} | {
    (kind, f"{factory._meta.model.noun}_assigned"): partial(cause, factory=factory)
    for kind, cause in EXTENDING.items()
    for factory in (EligibleFactory, ActiveFactory)
}
# Mails that belong to no role.
PERSONAL = {"account_created", "factors_changed", "delegation_made", "delegation_ended", "assigned_in_bulk"}
# What emergency access is about is told to all administrators, whatever the cells say.
PERSONAL |= {"emergency_used", "emergency_unreviewed", "emergency_sign_in"}
# One mail of many, and what is kept of the audit elsewhere.
PERSONAL |= {"digest", "weekly_digest", "checkpoint_signed"}
# A campaign goes through many roles.
PERSONAL |= {"review_started", "review_reminder", "review_closed", "review_undone"}
# One mail of all that was found.
PERSONAL |= {"alerts_raised"}


def silent():
    return {event: {who: {"default": False, "also": [], "level": "none"} for who in AUDIENCES} for event in EVENTS}


def sent(kind):
    return sorted(Message.objects.filter(kind=kind).values_list("to_address", flat=True))


def test_every_mail_about_a_role_is_in_the_table_and_has_a_cause():
    assert {kind for kind, _event, _audience in MAILS} == set(Kind.values) - PERSONAL
    assert {(kind, event) for kind, event, _audience in MAILS} == set(CAUSES)


def test_only_what_asks_for_a_decision_is_critical():
    assert [mail for mail, critical in MAILS.items() if critical] == [
        ("extension_asked", "eligible_assigned", "admin"),
        ("extension_asked", "active_assigned", "admin"),
        ("approval_asked", "activated", "approver"),
        ("approval_reminder", "activated", "approver"),
    ]


@pytest.mark.parametrize("mail", MAILS, ids="-".join)
def test_cell_governs_its_mail(mail):
    """Every level, with and without the default recipients, with and without a further address where a mail goes."""
    kind, event, audience = mail
    stage = Stage(silent())
    going = [level for level in LEVELS if level == "all" or (level == "critical" and MAILS[mail])]
    silenced = [(level, True, [ALSO]) for level in LEVELS if level not in going]
    for level, default, also in [*itertools.product(going, (True, False), ([], [ALSO])), *silenced]:
        cells = silent() | {event: silent()[event] | {audience: {"default": default, "also": also, "level": level}}}
        stage.role.settings.update(notifications=cells, approval_required=False)
        CAUSES[kind, event](stage)

        told = {*also, *([DEFAULTS[audience]] if default else [])} if level in going else set()
        assert set(sent(kind)) - {"second@example.org"} == told, (level, default, also)
        tidy()


def tidy():
    """Make room for the next round: what was made stays, closed."""
    for model in (EligibleAssignment, ActiveAssignment):
        model.objects.exclude(role__built_in_key="global_administrator").filter(ended_at=None).update(
            ended_at=now(), end_reason="removed"
        )
    Message.objects.all().delete()
    Request.objects.filter(status__startswith="pending").update(status="canceled", settled_at=now())


@pytest.mark.parametrize("mail", MAILS, ids="-".join)
def test_cell_governs_no_other_mail(mail):
    """With one cell silent, its mails stay away and all others of the same cause go out."""
    kind, event, audience = mail
    cells = default_notifications()
    cells[event][audience]["level"] = "none"
    stage = Stage(cells)

    CAUSES[kind, event](stage)

    others = {DEFAULTS[who] for same, what, who in MAILS if (same, what) == (kind, event) and who != audience}
    assert set(sent(kind)) - {"second@example.org"} == others


def test_further_address_gets_a_copy_that_speaks_of_the_holder():
    cells = default_notifications()
    cells["eligible_assigned"]["requestor"]["also"] = [ALSO, "HOLDER@example.org"]
    stage = Stage(cells)
    assign(stage, services.assign_eligible)

    copy = Message.objects.get(to_address=ALSO)
    assert (copy.user_id, copy.to_name) == (None, "")
    assert '"audience": "admin"' in copy.context
    assert sent("eligible_assigned") == ["admin@example.org", "holder@example.org", ALSO]


def test_no_more_than_a_thousand_mails(monkeypatch):
    monkeypatch.setattr("roles.services.mail.MOST_MAILS", 3)
    cells = default_notifications()
    cells["eligible_assigned"]["admin"]["also"] = [ALSO]
    stage = Stage(cells)
    for _ in range(5):
        holder_of(Role.GLOBAL_ADMINISTRATOR)
    assign(stage, services.assign_eligible)

    assert len(sent("eligible_assigned")) == 1 + 3
    assert ALSO in sent("eligible_assigned")
