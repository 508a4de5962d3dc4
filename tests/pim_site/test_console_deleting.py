"""The pages that delete and move: what stands in the way is said instead of a button that would be refused."""

import pytest
from django.urls import reverse

from roles.models import Resource, Role
from tests.client import signed_in
from tests.factories import EligibleFactory, ResourceFactory, RoleFactory, holder_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client):
    signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))
    return client


def page(client, row, act):
    answer = client.get(reverse(f"admin:roles_{row._meta.model_name}_{act}", args=[row.pk]))
    return list(answer.context["sentences"]), 'type="submit">' in answer.content.decode().split('id="happens"')[1]


def test_role_that_was_used_offers_no_button(client):
    eligible = EligibleFactory()
    sentences, has_button = page(client, eligible.role, "drop")
    assert (sentences, has_button) == (
        [
            f"Eligible assignments (1): {eligible}",
            "What is over stays for the history, and this with it. Rename or describe it instead.",
        ],
        False,
    )
    client.post(reverse("admin:roles_role_drop", args=[eligible.role.pk]), {"justification": "Not needed."})
    assert Role.objects.filter(pk=eligible.role.pk).exists()


def test_resource_with_something_beneath_it_offers_no_button(client):
    child = ResourceFactory(parent=ResourceFactory())
    sentences, has_button = page(client, child.parent, "drop")
    assert (sentences[0], has_button) == (f"Resources beneath it (1): {child}", False)


@pytest.mark.parametrize("factory", [RoleFactory, ResourceFactory])
def test_what_was_never_used_can_be_deleted(client, factory):
    row = factory()
    sentences, has_button = page(client, row, "drop")
    assert (len(sentences), has_button) == (1, True)
    assert "was never used" in sentences[0]


@pytest.mark.parametrize(
    ("children", "said"),
    [
        (0, []),
        (1, ["1 resource that is beneath it goes with it."]),
        (2, ["2 resources that are beneath it go with it."]),
    ],
)
def test_move_says_what_goes_with_it(client, children, said):
    resource = ResourceFactory()
    ResourceFactory.create_batch(children, parent=resource)
    sentences, has_button = page(client, resource, "move")
    assert [each for each in sentences if "beneath it go" in each] == said
    assert (has_button, Resource.objects.filter(parent=resource).count()) == (True, children)
