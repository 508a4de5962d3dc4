"""What people do about alerts and incidents."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils.timezone import now

from alerts.models import Incident
from alerts.registry import Repair
from alerts.services import configure, dismiss, reopen, repair
from audit.models import Event
from roles.models import Role
from tests.factories import ActiveFactory, UserFactory, holder_of
from tests.refusals import refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def incident(watched):
    watched.finds("a", about=ActiveFactory()).scan()
    return Incident.objects.select_related("alert").get()


@pytest.fixture
def administrator():
    return holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)


def later(**span):
    return now() + timedelta(**span)


def test_dismissing_keeps_who_why_and_until_when(incident, administrator):
    until = later(days=3)

    dismiss(incident=incident, actor=administrator, until=until, justification=" Known. ")

    incident.refresh_from_db()
    assert (incident.state, incident.dismissed_by, incident.dismissed_until, incident.justification) == (
        "dismissed",
        administrator,
        until,
        "Known.",
    )
    event = Event.objects.get(action="alert.dismissed")
    assert (event.actor_id, event.justification, event.subject_id) == (
        administrator.pk,
        "Known.",
        incident.about.user_id,
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"justification": " "}, "justification_required"),
        ({"until": timedelta(0)}, "until_invalid"),
        ({"until": timedelta(days=367)}, "until_invalid"),
        ({"actor": None}, "not_allowed"),
    ],
)
def test_dismissing_is_refused(incident, administrator, arguments, code):
    asked = {"actor": administrator, "until": timedelta(days=1), "justification": "Known."} | arguments
    actor = asked.pop("actor") or holder_of(Role.SECURITY_READER)

    with refused(code):
        dismiss(incident=incident, **asked | {"actor": actor, "until": now() + asked["until"]})


def test_resolved_one_can_be_neither_dismissed_nor_repaired(watched, incident, administrator):
    watched.finds().scan()

    with refused("already_resolved"):
        dismiss(incident=incident, actor=administrator, until=later(days=1), justification="Known.")
    with refused("already_resolved"):
        repair(incident=incident, actor=administrator, justification="Not needed.")


def test_reopening_takes_the_dismissal_back_and_is_told_of_again(incident, administrator):
    dismiss(incident=incident, actor=administrator, until=later(days=3), justification="Known.")

    reopen(incident=incident, actor=administrator, justification="Not known after all.")

    incident.refresh_from_db()
    assert (incident.state, incident.dismissed_until, incident.dismissed_by, incident.told_at) == (
        "active",
        None,
        None,
        None,
    )
    with refused("not_dismissed"):
        reopen(incident=incident, actor=administrator)


def test_repair_calls_its_service_in_the_name_of_the_actor_and_closes_the_incident(watched, incident, administrator):
    done = []
    watched.repaired_by(Repair("Mend it", says=lambda row: [], does=lambda row, **facts: done.append((row, facts))))

    repair(incident=incident, actor=administrator, justification="Not needed.")

    incident.refresh_from_db()
    assert (incident.state, incident.resolution) == ("resolved", "repaired")
    assert done == [(incident.about, {"actor": administrator, "justification": "Not needed."})]
    assert Event.objects.get(action="alert.repaired").subject_id == incident.about.user_id


def test_repair_that_its_service_refuses_changes_nothing(watched, incident, administrator):
    def refuse(row, **facts):
        row.delete()
        raise ValidationError("No.", code="last_administrator")

    watched.repaired_by(Repair("Mend it", says=lambda row: [], does=refuse))

    with refused("last_administrator"):
        repair(incident=incident, actor=administrator, justification="Not needed.")


def test_repair_is_refused_where_there_is_none_where_it_does_not_fit_and_where_its_row_is_gone(
    watched, incident, administrator
):
    asked = {"incident": incident, "actor": administrator, "justification": "Not needed."}
    with refused("no_repair"):
        repair(**asked)
    watched.repaired_by(Repair("Mend it", says=lambda row: [], does=lambda row, **facts: None, fits=lambda row: False))
    with refused("no_repair"):
        repair(**asked)
    watched.repaired_by(Repair("Mend it", says=lambda row: [], does=lambda row, **facts: None))
    incident.about.delete()
    with refused("no_repair"):
        repair(**asked)


def test_configuring_records_before_and_after(watched, administrator):
    configure(alert=watched.row, actor=administrator, is_enabled=False, thresholds={"days": 365}, justification="Loud.")

    event = Event.objects.get(action="alert.configured")
    assert (event.facts["before"], event.facts["after"]) == (
        {"enabled": True, "days": 30},
        {"enabled": False, "days": 365},
    )


@pytest.mark.parametrize(
    ("thresholds", "code"),
    [
        ({"days": 0}, "threshold_out_of_range"),
        ({"days": 366}, "threshold_out_of_range"),
        ({"weeks": 1}, "threshold_unknown"),
    ],
)
def test_configuring_is_refused_out_of_range(watched, administrator, thresholds, code):
    with refused(code):
        configure(alert=watched.row, actor=administrator, is_enabled=True, thresholds=thresholds)


def test_only_those_who_may_change_alerts_configure_them(watched):
    somebody = UserFactory()
    with refused("not_allowed"):
        configure(alert=watched.row, actor=somebody, is_enabled=False, thresholds={})
