import re

import pytest
from django.db import transaction
from django.urls import reverse
from django.utils.html import strip_tags

from audit.models import Entry, Event
from audit.sealing import seal
from audit.services import record
from tests.client import signed_in
from tests.factories import ResourceFactory, RoleFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db
LIST = reverse("admin:audit_event_changelist")


@pytest.fixture
def console(client):
    """A client of somebody who may view events."""
    signed_in(client, holder_of("security_reader"))
    return client


def make_events(count, **fields):
    person = UserFactory(display_name="Ana <b>Berg</b>")
    with transaction.atomic():
        return [
            record("role.renamed", actor=person, target=person, subject=person, role=person, **fields)
            for _ in range(count)
        ]


def detail(event):
    return reverse("admin:audit_event_change", args=[event.pk])


def test_list_shows_events(console):
    make_events(1, outcome="refused", code="too_long")
    page = console.get(LIST).content.decode()
    assert "role.renamed" in page
    assert "too_long" in page
    assert '<span class="pim-dot pim-dot--refused">Refused</span>' in page
    assert "Ana &lt;b&gt;Berg&lt;/b&gt;" in page


def test_list_says_of_an_event_who_what_where_and_why(console):
    person = UserFactory(display_name="Ana Berg")
    facts = {"role": RoleFactory(name="Vault Keeper"), "scope": ResourceFactory(name="Vault"), "ticket": "INC-7"}
    said = {"justification": "Rotate\n the keys.", "after": {"approvers": ["Kim", "Lee"]}}
    record("assignment.activated", actor=person, target=person, subject=person, **facts, **said)

    row = console.get(LIST).content.decode().split('class="field-moment"')[1].split("</tr>")[0]

    cells = [strip_tags(cell.replace("</div><div>", "|")) for cell in re.findall(r'<td class="[^"]+">(.*?)</td>', row)]
    where = f"Vault Keeper|{facts['scope']}"
    assert cells == [
        "Role activated|assignment.activated|Done ",
        "Ana Berg|system",
        "Ana Berg",
        where,
        "Rotate the keys.|INC-7",
        "Kim, Lee",
    ]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("outcome__exact=refused", 1),
        ("outcome__exact=success", 2),
        ("action=role.renamed", 3),
        ("action=role.gone", 0),
        ("q=berg", 3),
        ("q=INC-7", 1),
        ("q=nothing", 0),
    ],
)
def test_list_filters(console, query, found):
    make_events(1, outcome="refused", code="too_long")
    make_events(1, ticket="INC-7")
    make_events(1)
    changelist = console.get(f"{LIST}?{query}").context["cl"]
    assert changelist.queryset.count() == found


def test_list_offers_the_action_that_it_is_filtered_by(console):
    assert b"role.renamed" in console.get(f"{LIST}?action=role.renamed").content


def test_list_costs_the_same_with_one_event_and_with_fifty(console, django_assert_max_num_queries):
    make_events(1)
    console.get(LIST)  # notes in the session when it was last used
    with django_assert_max_num_queries(100) as one:
        console.get(LIST)
    make_events(60)
    with django_assert_max_num_queries(100) as many:
        console.get(LIST)
    assert len(many) == len(one)
    assert not any("DISTINCT" in query["sql"] and "audit_event" in query["sql"] for query in many.captured_queries)


def test_list_counts_up_to_a_bound(console, monkeypatch):
    monkeypatch.setattr("audit.admin.CappedPaginator.LIMIT", 3)
    make_events(5)
    assert console.get(LIST).context["cl"].result_count == 3


def test_detail_shows_the_record(console):
    [event] = make_events(
        1,
        justification="because\n<i>so</i>",
        before={"ends_at": None, "name": "a"},
        after={"name": "b<", "ends_at": None},
    )
    page = console.get(detail(event)).content.decode()
    assert event.facts["at"] in page
    assert "because<br>&lt;i&gt;so&lt;/i&gt;" in page
    assert '>name</th><td data-label="Before">a</td><td data-label="After"><strong>b&lt;</strong></td></tr>' in page
    assert ">ends_at</th>" in page
    assert "style=" not in page.split('id="content-main"')[1].split("</form>")[0]


def test_detail_shows_the_number_that_proofs_ask_for(console):
    [event] = make_events(1)
    assert "given within seconds" in console.get(detail(event)).content.decode()
    seal()
    entry = Entry.objects.get(event=event)
    assert f"{entry.n} <small><code>{bytes(entry.leaf).hex()}</code>" in console.get(detail(event)).content.decode()


def test_detail_leads_to_the_other_events_of_the_person(console):
    [event] = make_events(1)
    link = f"{LIST}?subject_id={event.subject_id}"
    assert link in console.get(detail(event)).content.decode()
    assert console.get(link).context["cl"].queryset.get() == event


def test_detail_leads_to_the_other_events_of_the_target(console):
    [event] = make_events(1)
    link = f"{LIST}?target_type=accounts.user&target_id={event.target_id}"
    assert console.get(link).context["cl"].queryset.get() == event


@pytest.mark.parametrize("role", ["security_reader", "global_administrator"])
@pytest.mark.parametrize("way", ["add", "change", "delete"])
def test_nobody_changes_an_event(client, role, way):
    signed_in(client, holder_of(role))
    [event] = make_events(1)
    url = reverse("admin:audit_event_add") if way == "add" else reverse(f"admin:audit_event_{way}", args=[event.pk])
    answer = client.post(url, {"canonical": "{}", "post": "yes", "_save": "Save"})
    assert answer.status_code == 403
    assert Event.objects.get(pk=event.pk).canonical == event.canonical


def test_list_has_no_actions(console):
    make_events(1)
    assert b"delete_selected" not in console.get(LIST).content


def test_list_is_refused_without_the_right(client):
    signed_in(client, UserFactory())
    assert client.get(LIST).status_code in {302, 403}
