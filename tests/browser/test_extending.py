"""Extend asked and granted with another end, click by click."""

import re
from datetime import datetime, timedelta

from playwright.sync_api import expect


def test_extension_is_asked_and_granted_with_another_end(visitor):
    page = visitor().sign_in("requester")
    page.get_by_role("link", name=re.compile("Extend.*Payroll Clerk")).click()
    page.get_by_label("Reason").fill("Closing the books takes until spring.")
    page.get_by_role("button", name="Ask to extend").click()
    expect(page.get_by_text("The administrators were asked.")).to_be_visible()
    asked = page.url
    page.goto("/")
    expect(page.get_by_role("heading", name=re.compile("Waiting for an administrator"))).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Extend.*Payroll Clerk"))).to_have_count(0)

    console = visitor().sign_in("role_admin", "/approvals/")
    console.get_by_role("link", name="Rita Sail asks to extend Payroll Clerk").click()
    ends = (datetime.now() + timedelta(days=45)).replace(hour=12, minute=0)
    if console.get_by_label("Until a date").count():
        console.get_by_label("Until a date").check()
    console.get_by_label("End", exact=True).fill(ends.strftime("%Y-%m-%dT%H:%M"))
    console.get_by_label("Reason").fill("Until the books are closed, no longer.")
    console.get_by_role("button", name="Extend").click()
    expect(console.get_by_text("Decided. Rita Sail is told by mail.")).to_be_visible()

    page.goto(asked)
    expect(page.locator("main")).to_contain_text("Until the books are closed, no longer.")
    page.goto("/")
    row = page.locator("#eligible li", has_text="Payroll Clerk")
    expect(row).to_contain_text(f"eligible until {ends.day} {ends:%b}")
