"""Hooks by the API: what this door adds to the services."""

from datetime import UTC, datetime

import pytest

from approvals.models import HookCall
from audit.models import Event
from roles.hooks import Hook
from roles.models import Role
from tests.api import Program
from tests.factories import EligibleFactory, HookFactory, RequestFactory, RoleFactory, UserFactory, holder_of
from tests.listener import listening

pytestmark = [pytest.mark.django_db, pytest.mark.once]
NEW = {"name": "On-call plan", "url": "https://hooks.example.org/pim"}


def test_hook_is_made_gets_a_secret_and_is_tested(admin, settings):
    settings.OUTGOING_NETWORKS, settings.OUTGOING_HTTP = ["127.0.0.0/8"], True
    with listening() as listener:
        status, made = admin.post("hooks", NEW | {"url": listener.url()})
        too_early = admin.post(f"hooks/{made['id']}/test")
        _, renewed = admin.post(f"hooks/{made['id']}/renew_secret")
        _, tested = admin.post(f"hooks/{made['id']}/test")

    assert (status, made["has_secret"], made["tested_at"]) == (201, False, None)
    assert (too_early[0], too_early[1]["code"]) == (422, "hook_unusable")
    assert renewed["secret"].startswith("whsec_")
    assert (tested["has_secret"], tested["test_outcome"], "secret" in tested) == (True, "http_200", False)
    told = Event.objects.filter(action__startswith="hook", outcome="success").order_by("pk")
    assert [event.action for event in told] == ["hook.registered", "hook_secret.renewed", "hook.tested"]


def test_hook_is_renamed_disabled_and_enabled_as_in_the_console(admin):
    hook = HookFactory(name="Plan", url=NEW["url"])
    path, reason = f"hooks/{hook.pk}", {"justification": "Made anew, CHG-7."}

    status, renamed = admin.patch(path, {"name": "On-call plan"})
    states = [admin.post(f"{path}/{act}", reason)[1]["is_enabled"] for act in ("disable", "enable")]

    assert (status, renamed["name"], renamed["url"], states) == (200, "On-call plan", hook.url, [False, True])
    updated = Event.objects.get(action="hook.updated")
    assert (updated.facts["before"]["name"], updated.facts["after"]["name"]) == ("Plan", "On-call plan")
    assert Event.objects.get(action="hook.disabled").justification == "Made anew, CHG-7."


def test_secret_is_no_part_of_what_is_read(admin):
    hook = HookFactory()

    shown = str([admin.get("hooks")[1], admin.get(f"hooks/{hook.pk}")[1]])

    assert hook.secret not in shown
    assert "'secret'" not in shown


@pytest.mark.parametrize(
    ("change", "code"),
    [({"url": "http://hooks.example.org"}, "address_invalid"), ({"name": "Taken"}, "name_taken")],
)
def test_hook_that_cannot_be_refused(admin, change, code):
    HookFactory(name="Taken")

    assert admin.post("hooks", NEW | change)[1]["code"] == code
    assert not Hook.objects.exclude(name="Taken").exists()


def test_settings_are_found_by_the_hook_that_they_name(admin):
    hook = HookFactory()
    role = RoleFactory(settings__hook=hook)
    RoleFactory()

    _, page = admin.get("role_settings", hook=str(hook.pk))

    assert [row["role"] for row in page["results"]] == [str(role.pk)]


def test_who_may_not_see_hooks_sees_none_and_changes_none():
    hook, reader = HookFactory(), Program(holder_of(Role.SECURITY_READER))
    strangers, reason = Program(UserFactory()), {"justification": "No."}

    assert strangers.get("hooks")[1]["results"] == []
    assert strangers.post(f"hooks/{hook.pk}/disable", reason)[0] == 404
    assert strangers.post("hooks", NEW)[0] == 403
    assert reader.get(f"hooks/{hook.pk}")[0] == 200
    assert reader.post(f"hooks/{hook.pk}/renew_secret")[0] == 403


def test_request_says_what_its_hook_answered_once_it_has():
    role, at = RoleFactory(settings__hook=HookFactory(name="On-call plan")), datetime(2026, 11, 21, 18, 40, tzinfo=UTC)
    request = RequestFactory(eligible_assignment=EligibleFactory(role=role))
    call = HookCall.objects.create(request=request, hook=role.settings.get().hook, next_attempt_at=request.requested_at)
    asker = Program(request.user)
    before = asker.get(f"requests/{request.pk}")[1]["hook_answer"]
    said = {"outcome": "denied", "reasons": "Not on call.", "answered_at": at}
    HookCall.objects.filter(pk=call.pk).update(**said)

    _, after = asker.get(f"requests/{request.pk}")

    assert (before, after["hook_answer"]) == (
        None,
        {
            "hook": "On-call plan",
            "outcome": "denied",
            "reasons": "Not on call.",
            "answered_at": "2026-11-21T18:40:00Z",
        },
    )
