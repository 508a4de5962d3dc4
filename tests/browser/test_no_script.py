"""Without JavaScript: asked for, approved, used and ended."""

import re

from playwright.sync_api import expect

PLAIN = {"java_script_enabled": False}


def test_role_is_asked_for_approved_and_ended_without_a_script(visitor):
    rita = visitor(**PLAIN)
    page = rita.sign_in("requester")
    page.get_by_role("link", name=re.compile("^Request Ledger Database Operator")).click()
    page.get_by_label("Reason").fill("Postings of March stand twice.")
    page.get_by_label("One-time code").fill(rita.demo.code("requester"))
    page.get_by_role("button", name="Request").click()
    expect(page.locator("main")).to_contain_text("Waiting for approval")

    approver = visitor(**PLAIN).sign_in("approver", "/approvals/")
    approver.get_by_role("link", name="Rita Sail asks for Ledger Database Operator").click()
    approver.get_by_label("Reason").fill("Take a backup before.")
    approver.get_by_role("button", name="Approve").click()
    expect(approver.locator("main")).to_contain_text("Arthur Keel approved")

    page.goto("/")
    active = page.locator("section[aria-labelledby=active]")
    expect(active.get_by_role("heading", name="Ledger Database Operator")).to_be_visible()
    active.get_by_role("button", name=re.compile("End now")).click()
    expect(active).to_have_count(0)
