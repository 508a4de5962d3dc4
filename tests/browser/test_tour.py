"""The tour of the README, click by click."""

import re

from playwright.sync_api import expect


def choose(page, field, text):
    """Pick an entry of an autocomplete field, as people do: open, type, click."""
    box = page.locator("select").and_(page.get_by_label(field)).locator("xpath=following-sibling::span[1]")
    box.click()
    within = box.locator(".select2-search__field")  # where several can be chosen
    (within if within.count() else page.locator(".select2-search__field").last).fill(text)
    page.locator(".select2-results__option", has_text=text).first.click()


def read_mail(page, about):
    """The demo delivers mail within seconds; the page shows it."""
    page.goto("/demo/mail/")
    for _ in range(60):
        mail = page.get_by_role("link", name=about)
        if mail.count():
            return mail.first.click()
        page.wait_for_timeout(500)
        page.reload()
    raise AssertionError(f"no mail {about}: {page.inner_text('main')[:500]}")


def test_tour_from_assignment_to_end(visitor):
    console = visitor().sign_in("role_admin", "/console/")
    console.get_by_role("link", name="Eligible assignments").first.click()
    console.get_by_role("link", name="Assign eligible").click()
    choose(console, "Holders", "Otto Reef")
    choose(console, "Role", "Security Reader")
    console.get_by_role("button", name="Continue").click()
    console.get_by_label("Reason").fill("Joins the audit of this quarter.")
    console.get_by_role("button", name="Assign eligible").click()
    expect(console.get_by_text("Otto Reef is made eligible for Security Reader.")).to_be_visible()

    read_mail(console, re.compile("Security Reader"))
    expect(console.locator("main")).to_contain_text("Security Reader")

    otto = visitor()
    page = otto.sign_in("outsider")
    expect(page.get_by_role("link", name="Console")).to_have_count(0)
    page.goto("/console/")
    expect(page).to_have_url(re.compile("/no-console/"))
    page.goto("/")
    page.get_by_role("link", name=re.compile("Request.*Security Reader")).click()
    page.get_by_text("30 min", exact=True).click()
    page.get_by_label("Reason").fill("Reading the events of last week.")
    page.get_by_label("One-time code").fill(otto.demo.code("outsider"))
    page.get_by_role("button", name="Request").click()
    expect(page.locator("main")).to_contain_text(re.compile("waiting", re.IGNORECASE))
    asked = page.url

    approver = visitor().sign_in("approver", "/approvals/")
    approver.get_by_role("link", name=re.compile("Otto Reef|Security Reader")).first.click()
    approver.get_by_label("Reason").fill("Agreed with the audit team.")
    approver.get_by_role("button", name=re.compile("^Approve")).click()
    expect(approver.get_by_text("Decided. Otto Reef is told by mail.")).to_be_visible()

    page.goto(asked)
    page.goto("/")
    expect(page.get_by_role("heading", name=re.compile("Active now"))).to_be_visible()
    page.get_by_role("link", name="Console").click()
    page.get_by_role("link", name="Events").first.click()
    expect(page.locator("#result_list")).to_contain_text("assignment.activated")

    page.goto("/")
    page.get_by_role("button", name=re.compile("End now.*Security Reader|End.*Security Reader")).click()
    expect(page.get_by_role("link", name="Console")).to_have_count(0)
    page.goto("/console/audit/event/")
    expect(page).to_have_url(re.compile("/no-console/"))
