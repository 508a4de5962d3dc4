"""Events in the console: found by who, what, when and why, and taken out as files."""

import csv
import io
import re
from datetime import datetime, timedelta
from html import unescape
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.urls import reverse
from django.utils.html import strip_tags
from django.utils.timezone import now

from accounts.models import User
from approvals.services import delete_role
from assignments.services import update_person
from audit.models import Archive, Event, Head, Reader
from audit.services import record
from pim_site.admin import events
from pim_site.siem.standing import cause_of
from roles.services import create_resource, create_role, update_resource, update_role
from tests.client import signed_in
from tests.factories import RequestFactory, ResourceFactory, RoleFactory, UserFactory, holder_of, root

pytestmark = pytest.mark.django_db
LIST = reverse("admin:audit_event_changelist")
CSV, JSON_LINES = reverse("admin:audit_event_export_csv"), reverse("admin:audit_event_export_jsonl")


@pytest.fixture
def console(client):
    signed_in(client, holder_of("security_reader"))
    return client


@pytest.fixture
def event():
    """One event that differs from the others in everything."""
    ana, role, place = (
        UserFactory(display_name="Ana Berg"),
        RoleFactory(name="Vault Keeper"),
        ResourceFactory(name="Vault"),
    )
    request = RequestFactory()
    with time_machine.travel(now() - timedelta(days=30), tick=False):
        facts = {"actor": ana, "subject": ana, "role": role, "scope": place, "request": request, "ticket": "INC-7"}
        found = record("assignment.activated", target=ana, after={"approvers": ["Kim"]}, **facts)
    record("assignment.activated", actor=None, target=None)
    return found


def found(console, **query):
    return list(console.get(LIST, query).context["cl"].queryset)


@pytest.mark.parametrize("query", [{"person": "berg"}, {"role": "keeper"}, {"resource": "vault"}, {"ticket": "INC-7"}])
def test_event_is_found_by_what_is_typed(console, event, query):
    assert found(console, **query) == [event]
    assert found(console, **{name: f"{value} of nobody" for name, value in query.items()}) == []


def test_events_are_found_by_names_that_are_no_more(console, event):
    administrator, place = holder_of("global_administrator"), root()
    common = {"actor": administrator, "description": ""}
    role = create_role(resource=place, name="Zebra", **common)
    told_of = role.pk
    update_role(role=role, name="Horse", is_privileged=False, **common)
    delete_role(role=role, actor=administrator, justification="Not used.")
    area = create_resource(parent=place, name="Savanna", kind="other", **common)
    update_resource(resource=area, name="Meadow", kind="other", **common)
    ana = User.objects.get(display_name="Ana Berg")
    update_person(user=ana, actor=administrator, display_name="Ana Tal")
    update_person(user=ana, actor=administrator, display_name="Ana See")

    told = Event.objects.filter(role_id=told_of)
    assert (found(console, role="zebra"), found(console, role="horse")) == (list(told), list(told))
    assert [event.action for event in told] == ["role.deleted", "role.updated", "role.created", "settings.changed"]
    assert found(console, resource="savanna") == list(Event.objects.filter(scope_id=area.pk))
    assert found(console, person="ana tal") == list(Event.objects.about(ana))


@pytest.mark.parametrize("query", [{"person": "meyer"}, {"role": "bench"}, {"resource": "bay"}])
def test_name_of_more_than_can_be_looked_for_finds_nothing_and_says_so(console, monkeypatch, query):
    UserFactory.create_batch(3, display_name="Meyer")
    for n in range(3):
        RoleFactory(name=f"Bench {n}", resource=ResourceFactory(name=f"Bay {n}"))
    monkeypatch.setattr(events, "MOST_NAMED", 2)
    page, file = console.get(LIST, query), console.get(CSV, query)
    assert list(page.context["cl"].queryset) == []
    assert b"More than 2 have this in their name" in page.content
    assert file["Location"] == f"{LIST}?{urlencode(query)}"

    monkeypatch.setattr(events, "MOST_NAMED", 3)

    assert b"More than" not in console.get(LIST, query).content
    assert console.get(CSV, query).streaming


def test_event_is_found_by_its_request_and_from_its_page(console, event):
    assert found(console, request=str(event.request_id)) == [event]
    for column in ("actor_id", "request_id"):
        assert found(console, **{column: str(getattr(event, column))}) == [event]


def test_event_is_found_by_its_day_in_the_zone_of_who_looks(console, event):
    console.person = None
    zone = ZoneInfo("UTC")
    day = event.at.astimezone(zone).date()
    assert found(console, since=day, until=day) == [event]
    assert found(console, until=day - timedelta(days=1)) == []
    assert event not in found(console, since=day + timedelta(days=1))
    assert datetime.combine(day, datetime.min.time(), zone) <= event.at


@pytest.mark.parametrize(
    "query",
    [
        *({"request": "x"}, {"since": "yesterday"}, {"until": "9999-12-31"}, {"since": "0001-01-01"}),
        *({"person": "x" * 201}, {"before": "then"}, {"before": "0001-01-01T00:00:00+23:00"}),
    ],
)
def test_what_is_filled_in_wrongly_finds_nothing_and_says_so(console, event, query):
    page = console.get(LIST, query)
    assert list(page.context["cl"].queryset) == []
    assert b"errornote" in page.content


def test_words_are_looked_for_in_the_newest_first_and_the_page_leads_to_the_others(console, monkeypatch):
    told = [record("assignment.activated", actor=None, target=None, ticket=f"INC-{n}") for n in range(5)]
    asked = {"q": "inc-", "action": "assignment.activated"}
    monkeypatch.setattr(events.EventAdmin, "searched", 2)

    pages, address = [], f"{LIST}?{urlencode(asked)}"
    while address:
        page = console.get(address)
        assert found_in(console.get(address.replace(LIST, CSV))) == [event.ticket for event in shown_on(page)[::-1]]
        pages.append(shown_on(page))
        address = older_than(page)

    assert pages == [[told[4], told[3]], [told[2], told[1]], [told[0]]]
    assert "Only events before" in page.content.decode()


def shown_on(page):
    return list(page.context["cl"].queryset)


def found_in(file):
    return [row["ticket"] for row in csv.DictReader(io.StringIO(file.getvalue().decode()))]


def older_than(page):
    """Where the page leads to, when it says that it did not look through all."""
    link = re.search(r'back to .*? <a href="(.*?)">Look for them in older ones', page.content.decode())
    return link and LIST + unescape(link[1])


def test_form_keeps_what_else_the_list_is_narrowed_by(console, event):
    page = console.get(LIST, {"outcome__exact": "success", "person": "berg"}).content.decode()
    assert '<input type="hidden" name="outcome__exact" value="success">' in page
    assert 'value="berg"' in page


def test_list_asks_by_indexes_and_counts_no_table(console, event, django_assert_max_num_queries):
    with django_assert_max_num_queries(30) as asked:
        found(console, person="berg", role="keeper", resource="vault")
    statements = [query["sql"] for query in asked.captured_queries if '"audit_event"' in query["sql"]]
    assert statements
    assert not [sql for sql in statements if "DISTINCT" in sql or ("COUNT(" in sql and "LIMIT" not in sql)]


@pytest.mark.parametrize("url", [CSV, JSON_LINES])
def test_file_holds_what_the_list_shows(console, event, url):
    answer = console.get(url, {"person": "berg"})
    assert answer.streaming
    assert "attachment" in answer["Content-Disposition"]
    [line] = activations_in(answer)
    assert "Ana Berg" in line
    assert len(activations_in(console.get(url))) == Event.objects.filter(action="assignment.activated").count()


def activations_in(answer):
    return [line for line in answer.getvalue().decode().splitlines() if "assignment.activated" in line]


def test_list_leads_to_the_files_of_what_it_shows(console, event):
    page = console.get(LIST, {"person": "berg"}).content.decode()
    assert f"{CSV}?person=berg" in page


def test_files_are_refused_without_the_right(client, event):
    signed_in(client, holder_of("privileged_role_administrator"))
    assert client.get(CSV).status_code == 403
    assert CSV not in client.get(LIST).content.decode()


def test_list_says_where_older_events_are(console, event):
    assert "no longer here" not in console.get(LIST).content.decode()
    at = now()
    moments = {"at": at, "oldest_at": at, "newest_at": at}
    Head.objects.update_or_create(pk=Head.ONLY, defaults={"size": 77})
    Archive.objects.create(first=1, last=77, file="/srv/audit-1-77.jsonl", digest="0", note="", frontier=b"", **moments)
    page = console.get(LIST).content.decode()
    assert ("up to number 77" in page, "/srv/audit-1-77.jsonl" in page) == (True, True)


# --- where events are sent ------------------------------------------------------------------------------------

DESTINATIONS = reverse("admin:audit_event_destinations")


@pytest.fixture
def destinations(settings):
    """Of 7 events one destination has taken all, one fails, one is on its way, one has begun, and one is new."""
    names = [f"tls://siem{n}.example.org:6514" for n in range(5)]
    settings.AUDIT_STREAMS = names
    Head.objects.update_or_create(pk=Head.ONLY, defaults={"size": 7})
    at = now()
    Reader.objects.create(name=names[0], n=7, taken_at=at, next_attempt_at=at)
    Reader.objects.create(
        name=names[1], n=3, taken_at=at, failing_since=at, last_outcome="tls_failed", next_attempt_at=at
    )
    Reader.objects.create(name=names[2], n=5, taken_at=at, next_attempt_at=at)
    Reader.objects.create(name=names[3], n=7, next_attempt_at=at)
    Reader.objects.create(name="tcp://no-more.example.org:514", n=0, next_attempt_at=at)
    return names


def test_destinations_are_shown_with_how_far_they_are_and_why_not_further(console, destinations):
    page = console.get(DESTINATIONS)

    (section,) = page.context["sections"]
    shown = [(name, strip_tags(state).split(" Since")[0], *rest[:2]) for name, state, *rest in section.rows]
    states = [("Has taken all", 0, 7), ("Failing", 4, 3), ("Catching up", 2, 5), ("Waits for the next event", 0, "")]
    fresh = ("Not begun yet", "", "")
    assert shown == [(name, *state) for name, state in zip(destinations, [*states, fresh], strict=True)]
    for words in ("1 destination takes nothing", "Its certificate is of another name", "<code>tls_failed</code>"):
        assert words in page.content.decode()


def test_event_says_what_was_done_in_words_and_by_its_code(console, event):
    page = console.get(reverse("admin:audit_event_change", args=[event.pk])).text
    assert '<dd><div>Role activated</div><div><span class="pim-quiet">assignment.activated</span></div></dd>' in page


def test_without_destinations_the_page_says_how_to_name_one(console):
    assert "PIM_AUDIT_STREAMS. Example" in console.get(DESTINATIONS).content.decode()
    assert DESTINATIONS in console.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("outcome", "words"),
    [("http_503", "It answered 503."), ("failed: No space", "written to: No space."), ("odd", "odd")],
)
def test_cause_of_a_failure_is_said_in_words(outcome, words):
    assert cause_of(outcome).endswith(words)
