"""The dashboard: who sees which figure, and that each number leads to what it counts."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils.timezone import now

from pim_site.dashboard.charts import Bar, Cell, Series, Trend, shares
from roles.models import Role
from tests.client import signed_in
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RoleFactory,
    holder_of,
)
from tests.pim_site.test_console import queries

pytestmark = pytest.mark.django_db


@pytest.fixture
def console(client):
    """The client, after a person with this built-in role, or one of this kind, has signed in."""

    def enter(key=Role.GLOBAL_ADMINISTRATOR):
        signed_in(client, holder_of(key))
        return client

    return enter


def shown(client, **query):
    return {panel.key: panel for panel in client.get(reverse("admin:dashboard"), query).context["panels"]}


def history():
    """Of one role: activations of today and of the last month, and assignments of each kind."""
    role, at = RoleFactory(is_privileged=True), now()
    eligible = EligibleFactory(role=role, ends_at=at + timedelta(days=3))
    for days in (0, 0, 20, 40):
        begun = {"starts_at": at - timedelta(days=days, minutes=1)}
        over = {} if days == 0 else {"ended_at": begun["starts_at"] + timedelta(hours=1), "end_reason": "expired"}
        ActivationFactory(eligible_assignment=EligibleFactory(role=role), **begun, **over)
    ActivationFactory(eligible_assignment=eligible, ended_at=at - timedelta(minutes=2), end_reason="canceled")
    EligibleFactory(role=role, user=None, group=GroupFactory())
    ActiveFactory(role=role, ends_at=at + timedelta(days=5))
    ActiveFactory(role=role)
    return role


HELPDESK = ["activations", "standing", "most-used", "most-held", "split", "ending", "approvals"]


@pytest.mark.parametrize(
    ("key", "panels"), [(Role.HELPDESK_ADMINISTRATOR, HELPDESK), (Role.SECURITY_READER, [*HELPDESK, "reviews"])]
)
def test_panels_are_those_that_one_may_see(console, key, panels):
    assert list(shown(console(key))) == panels


def test_owner_sees_no_figure_of_what_others_hold(client):
    role = RoleFactory(owns_resource=True)
    signed_in(client, ActiveFactory(role=role).user)

    assert client.get("/console/").context["trends"] == []
    assert client.get(reverse("admin:dashboard")).status_code == 403


def test_numbers_lead_to_lists_of_so_many_rows(console):
    history()
    client = console()
    panels = shown(client, days="30")
    tables = [panel.trend.table if panel.trend else panel.table for panel in panels.values()]
    cells = [cell for table in tables if table for row in table.rows for cell in row.cells if cell.url]

    for key in ("activations", "standing"):  # of a day, the line leads to all that it counts
        cells += [Cell(row.cells[-1].text, row.head.url) for row in panels[key].trend.table.rows if row.head.url]

    assert [cell for cell in cells if client.get(cell.url).context["cl"].result_count != int(cell.text)] == []
    assert len(cells) >= 5 + 2 * 30 + 2 * 15
    counted = {key: panels[key] for key in ("activations", "standing", "ending")}
    assert {key: panel.trend.totals[-1] for key, panel in counted.items()} == {
        "activations": 2,
        "standing": 3,  # with the administrator who looks
        "ending": 0,
    }
    lists = {
        key: [client.get(each.url).context["cl"].result_count for each in panel.more] for key, panel in counted.items()
    }
    assert lists == {"activations": [3], "standing": [3], "ending": [1, 1]}
    today = panels["activations"].trend.urls[-1]
    assert client.get(today).context["cl"].result_count == 2


def test_period_is_one_of_those_on_offer(console):
    client = console()
    asked = [client.get(reverse("admin:dashboard"), {"days": days}) for days in ("7", "365", "8", "x", "-1", "")]

    assert [answer.context["period"].days for answer in asked] == [7, 365, 30, 30, 30, 30]


def test_empty_site_says_that_there_was_nothing(console):
    page = console(Role.SECURITY_READER).get(reverse("admin:dashboard")).content.decode()

    assert "Nobody activated a role in this time." in page
    assert "No access review is open." in page
    assert "No request of this time was answered by people." in page


@pytest.mark.parametrize("name", ["admin:dashboard", "admin:index"])
def test_statements_do_not_grow(console, name):
    client = console()
    history()
    few = queries(client, reverse(name))
    for _each in range(3):
        history()

    assert queries(client, reverse(name)) == few


@pytest.mark.parametrize("days", ["2026-02-31..2026-03-01", "0001-01-01..0001-01-02", "9999-12-31..9999-12-31", "x"])
def test_days_that_are_none_narrow_to_nothing(console, days):
    ActivationFactory()
    lists = ["assignments_activeassignment", "approvals_request"]
    asked = [
        console().get(reverse(f"admin:{page}_changelist"), {name: days})
        for page, name in zip(lists, ("began", "asked"), strict=True)
    ]

    assert [answer.context["cl"].result_count for answer in asked] == [0, 0]


def test_index_says_that_the_worker_is_silent(console):
    assert "The worker gives no sign of life" in console().get("/console/").content.decode()
    assert "sign of life" not in console(Role.HELPDESK_ADMINISTRATOR).get("/console/").content.decode()


# --- drawing --------------------------------------------------------------------------------------------------


def test_bars_stand_upon_one_another():
    trend = Trend("Day", ["1 May", "2 May"], ["", ""], [Series("a", [1, 0]), Series("b", [3, 1])])

    assert list(trend.bars()) == [
        Bar(1, "75.00", "25.00", 1, "1 May: 1 a"),
        Bar(1, "0.00", "75.00", 2, "1 May: 3 b"),
        Bar(11, "75.00", "25.00", 2, "2 May: 1 b"),
    ]
    assert [[cell.text for cell in row.cells] for row in trend.table.rows] == [["0", "1", "1"], ["1", "3", "4"]]
    assert "Most: 4, 1 May." in trend.in_words


def test_shares_are_of_the_largest():
    assert shares([400, 100, 1, 0]) == [100, 25, 1, 0]
    assert shares([]) == []
