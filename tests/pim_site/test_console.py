"""The console as each persona meets it. Who gets in where is the table of `tests/test_matrix.py`."""

import re
from datetime import UTC, datetime
from html import unescape

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape, strip_tags

from accounts.models import User
from approvals.models import Decision
from assignments.models import ActiveAssignment, EligibleAssignment
from audit.services import record
from notifications.models import Message
from roles.models import Role
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    DeliveryFactory,
    EligibleFactory,
    EmergencyUseFactory,
    GroupFactory,
    HookFactory,
    IncidentFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    SubscriptionFactory,
    UserFactory,
    holder_of,
    root,
)

pytestmark = pytest.mark.django_db

PERSONAS = {
    "helpdesk": Role.HELPDESK_ADMINISTRATOR,
    "role_admin": Role.PRIVILEGED_ROLE_ADMINISTRATOR,
    "global_admin": Role.GLOBAL_ADMINISTRATOR,
    "reader": Role.SECURITY_READER,
}


@pytest.fixture
def at_console(client):
    """Sign in the persona of that name, who holds the built-in role in force; the client."""

    def enter(persona):
        client.person = holder_of(PERSONAS[persona]) if persona in PERSONAS else UserFactory()
        signed_in(client, client.person)
        return client

    return enter


@pytest.fixture
def rows():
    """One row of every model in the console, by its name."""
    request = RequestFactory(role=RoleFactory(settings__approval_required=True))
    return {
        "user": request.user,
        "group": GroupFactory(),
        "resource": ResourceFactory(),
        "role": request.role,
        "hook": HookFactory(),
        "subscription": SubscriptionFactory(),
        "delivery": DeliveryFactory(state="given_up"),
        "emergencyuse": EmergencyUseFactory(),
        "incident": IncidentFactory(),
        "eligibleassignment": request.eligible_assignment,
        "activeassignment": ActivationFactory(),
        "request": request,
        "message": Message.objects.create(
            kind="role_ended", to_address="a@example.org", time_zone="UTC", language="en", context="{}", state="failed"
        ),
    }


def page_for(name, rows):
    return reverse(name, args=[rows[name.split("_")[1]].pk])


def test_plain_person_gets_a_word_why(at_console):
    assert at_console("plain").get("/console/", follow=True).redirect_chain[-1][0] == "/no-console/"


def test_person_without_second_factor_stays_out(client):
    client.force_login(holder_of(Role.GLOBAL_ADMINISTRATOR))

    assert client.get("/console/").status_code == 302


def test_right_ends_with_the_role(at_console):
    client = at_console("global_admin")
    ActiveAssignment.objects.filter(user=client.person).update(user=UserFactory())

    assert client.get(reverse("admin:accounts_user_changelist")).status_code == 302


@pytest.mark.parametrize("model", ["eligibleassignment", "activeassignment", "request", "message", "incident"])
def test_rows_with_a_state_cannot_be_changed(at_console, rows, model):
    app = rows[model]._meta.app_label
    client = at_console("global_admin")

    assert client.post(reverse(f"admin:{app}_{model}_change", args=[rows[model].pk]), {}).status_code == 403
    assert client.post(reverse(f"admin:{app}_{model}_add"), {}).status_code == 403


def test_events_cannot_be_changed(at_console, transactional_db):
    from django.db import transaction

    with transaction.atomic():
        event = record("session.started", actor=None, target=None)
    client = at_console("global_admin")

    assert client.get(reverse("admin:audit_event_change", args=[event.pk])).status_code == 200
    assert client.post(reverse("admin:audit_event_change", args=[event.pk]), {}).status_code == 403
    assert client.post(reverse("admin:audit_event_delete", args=[event.pk]), {"post": "yes"}).status_code == 403


def test_what_is_not_registered():
    closed = {"django_q", "django_otp", "sessions", "auth", "admin", "contenttypes"}
    registered = {model._meta.label for model in admin.site._registry}

    assert not {label for label in registered if label.split(".")[0] in closed}
    assert not {f"accounts.{name}" for name in ("TotpDevice", "RecoveryDevice", "StepUpProof")} & registered
    assert apps.is_installed("django_q")
    assert Decision not in admin.site._registry
    assert "delete_selected" not in dict(admin.site.actions)


def test_there_is_no_superuser():
    assert not holder_of(Role.GLOBAL_ADMINISTRATOR).is_superuser
    with pytest.raises(AttributeError):
        User(username="root", is_superuser=True)


NOW = ["Requests waiting", "Roles activated", "Eligible assignments ending", "Assigned active, ending"]
REVIEWS = ["reviews in progress", "to be applied"]


def tiles_of(index):
    return [*index.context["current"], *index.context["failing"]]


@pytest.mark.parametrize(
    ("persona", "words"),
    [
        ("helpdesk", [*NOW, "could not be sent", "waiting to be sent"]),
        ("role_admin", [*NOW, *REVIEWS, "to be reviewed", "overdue", "given up"]),
    ],
)
def test_index_counts_what_one_may_see(at_console, rows, persona, words):
    tiles = tiles_of(at_console(persona).get("/console/"))

    assert [any(word in str(tile.word) for word in words) for tile in tiles] == [True] * len(words)
    assert [tile.number for tile in tiles[:2]] == [1, 1]


def test_index_numbers_lead_to_what_they_count(at_console, rows):
    client = at_console("global_admin")

    for tile in tiles_of(client.get("/console/")):
        assert client.get(tile.url).context["cl"].result_count == tile.number, tile


def populate(count):
    for _each in range(count):
        request = RequestFactory(requester__manager=None)
        User.objects.filter(pk=request.user_id).update(manager=UserFactory())
        ActivationFactory(eligible_assignment=request.eligible_assignment)
        ActiveFactory(user=request.user)
        Decision.objects.create(
            request=request,
            person=UserFactory(),
            verdict="denied",
            justification="No.",
            decided_at=request.requested_at,
        )
        GroupFactory(members=[request.user])
        ResourceFactory()
        DeliveryFactory()
        IncidentFactory()


def said_of(page):
    """What the list says that it is narrowed by, in one line."""
    found = re.search(r"<p>(Only a part is shown.*?)</p>", page.text, re.DOTALL)
    return found and " ".join(unescape(strip_tags(found[1])).split())


def test_list_says_what_it_is_narrowed_by(at_console, rows):
    client = at_console("global_admin")
    role, person = rows["role"], rows["user"]
    actives, events = reverse("admin:assignments_activeassignment_changelist"), reverse("admin:audit_event_changelist")
    narrowed = {
        actives: None,
        f"{actives}?q=words": None,
        f"{actives}?how=activated&role__id__exact={role.pk}": f"How: Activated, Role: {role}",
        f"{events}?subject_id={person.pk}": "",
        f"{events}?person=Rita+Sail&outcome__exact=refused": "Outcome: Refused, Person: Rita Sail",
    }
    words = {link: None if by is None else f": {by}".removesuffix(": ") for link, by in narrowed.items()}
    expected = {link: by if by is None else f"Only a part is shown{by}. Show everything" for link, by in words.items()}

    assert {link: said_of(client.get(link)) for link in narrowed} == expected


def test_filter_that_must_be_corrected_is_open(at_console):
    client = at_console("global_admin")
    panel = '<details data-filter-title="pim-filter"'

    assert f"{panel}>" in client.get(reverse("admin:audit_event_changelist")).text
    assert f"{panel} open>" in client.get(reverse("admin:audit_event_changelist"), {"since": "soon"}).text


def test_page_that_only_shows_begins_with_the_name_and_has_no_buttons_of_a_form(at_console, rows):
    client, row = at_console("global_admin"), rows["eligibleassignment"]
    page = client.get(reverse("admin:assignments_eligibleassignment_change", args=[row.pk])).text
    person = client.get(reverse("admin:accounts_user_change", args=[row.user_id])).text

    assert f"<h1>{escape(row)}</h1>" in page
    assert '<p class="pim-kind">Eligible assignment</p>' in page
    assert ["submit-row" in shown for shown in (page, person)] == [False, True]


def test_times_of_stock_fields_name_their_zone(at_console, rows):
    client = at_console("global_admin")
    Message.objects.update(sent_at=datetime(2026, 7, 2, 18, 40, tzinfo=UTC))
    User.objects.update(time_zone="Europe/Berlin")
    page = client.get(reverse("admin:notifications_message_change", args=[Message.objects.first().pk]))

    assert "2 Jul 2026, 20:40 CEST" in page.text


LISTS = [f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" for model in admin.site._registry]


@pytest.mark.parametrize("name", LISTS)
def test_queries_of_a_list_do_not_grow(at_console, name):
    client = at_console("global_admin")
    populate(1)
    client.get(reverse(name))
    few = queries(client, reverse(name))
    populate(9)

    assert queries(client, reverse(name)) == few


def queries(client, url):
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def test_queries_of_a_person_do_not_grow(at_console):
    client, person = at_console("global_admin"), UserFactory()
    url = reverse("admin:accounts_user_change", args=[person.pk])
    for_person(person, 1)
    client.get(url)
    few = queries(client, url)
    for_person(person, 8)

    assert queries(client, url) == few


def for_person(person, count):
    for _each in range(count):
        request = RequestFactory(eligible_assignment=EligibleFactory(user=person))
        ActivationFactory(eligible_assignment=request.eligible_assignment)


def test_post_without_csrf_token_refused(rows):
    strict = Client(enforce_csrf_checks=True)
    signed_in(strict, holder_of(Role.GLOBAL_ADMINISTRATOR))

    url = page_for("admin:assignments_eligibleassignment_remove", rows)
    assert strict.post(url, {"justification": "x"}).status_code == 403
    assert EligibleAssignment.objects.get(pk=rows["eligibleassignment"].pk).ended_at is None


def test_autocomplete_answers_for_every_chooser(at_console):
    client = at_console("role_admin")
    resource = ResourceFactory(parent=root(), name="Ledger")
    choosers = [
        ("accounts", "user", "manager", client.person),
        ("accounts", "group", "members", client.person),
        ("roles", "approvalstage", "approvers", client.person),
        ("assignments", "eligibleassignment", "user", client.person),
        ("assignments", "eligibleassignment", "scope", resource),
    ]
    for app, model, field, wanted in choosers:
        query = {"app_label": app, "model_name": model, "field_name": field, "term": str(wanted)[-6:]}
        results = client.get(reverse("admin:autocomplete"), query).json()["results"]
        assert str(wanted.pk) in [result["id"] for result in results], field


def test_autocomplete_tells_people_of_one_name_apart(at_console):
    client = at_console("role_admin")
    for username, is_active in (("mara.l", True), ("mara.k", False)):
        UserFactory(display_name="Mara", username=username, is_active=is_active)
    query = {"app_label": "assignments", "model_name": "eligibleassignment", "field_name": "user", "term": "mara"}

    texts = [result["text"] for result in client.get(reverse("admin:autocomplete"), query).json()["results"]]

    assert texts == ["Mara · mara.k · disabled", "Mara · mara.l"]


def test_autocomplete_is_closed_to_plain_people(at_console):
    query = {"app_label": "assignments", "model_name": "eligibleassignment", "field_name": "user", "term": ""}

    assert at_console("plain").get(reverse("admin:autocomplete"), query).status_code == 302


@pytest.mark.parametrize(("count", "words"), [(1, "In 1 place: deny"), (2, "In 2 places: deny")])
def test_disabling_a_hook_says_what_goes_on_without_it(at_console, count, words):
    hook = HookFactory()
    RoleFactory.create_batch(count, settings__hook=hook)
    assert words in at_console("global_admin").get(reverse("admin:roles_hook_disable", args=[hook.pk])).text


LISTS_WITHOUT_ROWS = {
    "/console/webhooks/delivery/": "There are no webhook deliveries yet.",
    "/console/reviews/definition/": "There are no access review series yet.",
    "/console/accounts/user/?q=nobody": "Nothing matches. Show everything",
    "/console/notifications/message/?state__exact=failed": "Nothing matches. Show everything",
}


@pytest.mark.parametrize(("path", "words"), LISTS_WITHOUT_ROWS.items())
def test_empty_list_says_why_and_offers_nothing_to_do_with_its_rows(at_console, path, words):
    page = at_console("global_admin").get(path).text
    assert words in " ".join(strip_tags(page).split())
    assert 'name="action"' not in page


def test_way_to_all_rows_stands_where_not_all_are_shown(at_console):
    client = at_console("global_admin")
    shown = [client.get(f"/console/accounts/user/{query}").text for query in ("", "?q=a", "?is_active__exact=1")]
    assert [">Show all</a>" in page for page in shown] == [False, True, True]


def test_page_of_a_person_names_in_words_what_happened(at_console):
    client = at_console("global_admin")
    person = UserFactory()
    record("person.disabled", actor=client.person, target=person, subject=person)
    page = client.get(reverse("admin:accounts_user_change", args=[person.pk])).text
    assert "Person disabled" in page
    assert "person.disabled" not in page
