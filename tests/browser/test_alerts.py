"""From an assignment that was written past the site to its removal, and to what the audit says of it."""

import re
import uuid
from contextlib import closing
from datetime import UTC, datetime

import pytest
from playwright.sync_api import expect


@pytest.fixture
def outside(demo):
    """Somebody who may write to the database gives Rita a role."""
    columns = "id, user_id, role_id, scope_id, starts_at, created_at, end_reason, is_emergency"
    facts = """SELECT ?, u.id, r.id, r.resource_id, ?, ?, '', 0 FROM accounts_user u, roles_role r
        WHERE u.username = 'requester' AND r.name = 'Payments Releaser'"""
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    with closing(demo.database()) as database, database:
        insert = f"INSERT INTO assignments_activeassignment ({columns}) {facts}"
        assert database.execute(insert, (uuid.uuid4().hex, at, at)).rowcount == 1


def test_assignment_given_past_the_site_is_found_removed_and_told_of(visitor, outside):
    page = visitor().sign_in("global_admin", "/console/alerts/alert/")
    page.get_by_role("link", name="Assigned outside PIM").click()
    page.get_by_role("link", name="Scan now").click()
    page.get_by_role("button", name="Scan now").click()
    expect(page.locator("body")).to_contain_text("was scanned")

    page.goto("/console/")
    page.locator("section[aria-labelledby=alerts]").get_by_role("link", name="of high severity").click()
    page.get_by_role("link", name=re.compile("holds Payments Releaser at .* nobody here gave it")).click()
    page.get_by_role("link", name="Repair").click()
    expect(page.locator("body")).to_contain_text("loses Payments Releaser")
    page.get_by_label("Reason").fill("Nobody asked for it.")
    page.get_by_role("button", name="Repair").click()
    expect(page.locator("body")).to_contain_text("Repaired:")
    expect(page.locator("body")).to_contain_text("repaired from here")

    page.locator("#content-main").get_by_role("link", name="Audit").click()
    rows = page.locator("#result_list tbody tr")
    expect(rows.filter(has_text="alert.repaired")).to_contain_text("Nobody asked for it.")
    expect(rows.filter(has_text="alert.raised")).to_have_count(1)
