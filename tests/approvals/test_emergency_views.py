"""The page of emergency access, and where it is found."""

import pytest
from django.urls import reverse
from django.utils.timezone import now

from approvals.models import EmergencyUse, Request
from assignments.models import EligibleAssignment
from roles.models import Role, RoleSettings
from tests.client import signed_in
from tests.factories import (
    EligibleFactory,
    EmergencyUseFactory,
    ResourceFactory,
    RoleFactory,
    code_of,
    holder_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def eligible():
    settings = {"settings__emergency_allowed": True, "settings__activation_authentication": "mfa"}
    return EligibleFactory(role=RoleFactory(**settings))


def page(eligible):
    return reverse("approvals:eligible-emergency", args=[eligible.pk])


def test_activation_page_leads_there_only_where_it_is_allowed(client, eligible):
    plain = EligibleFactory(user=eligible.user)
    signed_in(client, eligible.user)
    links = [
        page(each) in client.get(reverse("approvals:eligible-activate", args=[each.pk])).content.decode()
        for each in (eligible, plain)
    ]
    assert links == [True, False]
    assert client.get(page(plain)).status_code == 404


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("eligible-activate", "Your eligibility has ended."),
        ("eligible-emergency", "You are not eligible for this role now."),
    ],
)
def test_eligibility_that_is_over_and_whose_place_was_moved_away_says_so(client, eligible, name, said):
    """Where its role is not used any more, no settings count."""
    EligibleAssignment.objects.update(ended_at=now(), end_reason="expired")
    Role.objects.filter(pk=eligible.role_id).update(resource=ResourceFactory())
    RoleSettings.objects.filter(role=eligible.role).update(scope=Role.objects.get(pk=eligible.role_id).resource)
    signed_in(client, eligible.user)
    url = reverse(f"approvals:{name}", args=[eligible.pk])

    answers = client.get(url), client.post(url, {"justification": "Payments are down."})

    assert [answer.status_code for answer in answers] == [200, 200]
    assert said in answers[1].content.decode()
    assert not Request.objects.exists()


def test_emergency_with_a_code(client, eligible):
    device = signed_in(client, eligible.user)
    data = {"justification": "Payments are down.", "drill": "on", "code": code_of(device, steps=1)}
    answer = client.post(page(eligible), data)
    assert answer.status_code == 302, answer.context["form"].errors
    assert (Request.objects.get().status, EmergencyUse.objects.get().is_drill) == ("provisioned", True)


def test_emergency_without_a_code_says_so_and_gives_nothing(client, eligible):
    signed_in(client, eligible.user)
    answer = client.post(page(eligible), {"justification": "Payments are down."})
    assert (answer.status_code, Request.objects.count()) == (200, 0)
    assert answer.context["form"].errors


def test_review_in_the_console(client):
    use = EmergencyUseFactory()
    signed_in(client, holder_of("global_administrator"))
    url = reverse("admin:approvals_emergencyuse_review", args=[use.pk])
    assert use.request.justification in client.get(url).content.decode().replace("&#x27;", "'")
    client.post(url, {"finding": "justified", "justification": "Read the log."})
    use.refresh_from_db()
    assert use.finding == "justified"
