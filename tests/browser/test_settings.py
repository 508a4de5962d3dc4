"""Settings changed while requests wait and roles are in use, click by click."""

import re

from playwright.sync_api import expect


def role_page(page, name):
    page.goto(f"/console/roles/role/?q={name}")
    page.locator("#result_list tbody th a").first.click()
    page.get_by_role("link", name="Settings", exact=True).click()


def test_settings_changed_with_running_requests(visitor):
    page = visitor().sign_in("role_admin", "/console/")
    role_page(page, "Ledger Database Operator")
    page.locator("[name=activation_max_duration]").select_option("1800")
    page.locator("[name=ticket_required]").check()
    page.get_by_role("button", name="Review before saving").click()

    expect(page.get_by_role("heading", name=re.compile("What changes at"))).to_be_visible()
    expect(page.locator("main")).to_contain_text("1 request waits.")
    expect(page.locator("main")).to_contain_text(re.compile("closes as failed when it is approved: R-"))

    page.get_by_role("button", name="Back to the form").click()
    expect(page.locator("[name=activation_max_duration]")).to_have_value("1800")
    page.get_by_role("button", name="Review before saving").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(re.compile(r"Version \d+ is in use now at"))).to_be_visible()

    approver = visitor().sign_in("approver", "/approvals/")
    approver.get_by_role("link", name=re.compile("asks for Ledger Database Operator")).first.click()
    approver.get_by_label("Reason").fill("Agreed.")
    approver.get_by_role("button", name=re.compile("^Approve")).click()

    page.goto("/console/approvals/request/?q=Ledger Database Operator")
    row = page.locator("#result_list tbody tr", has_text=re.compile("Failed|failed"))
    expect(row.first).to_be_visible()
