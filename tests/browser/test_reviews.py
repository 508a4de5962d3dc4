"""An access review from the mail to the removal: a manager answers by keyboard, an administrator applies it."""

import json
import re
import time

from playwright.sync_api import expect

FINANCE = "Finance, every quarter"


def reloaded_until(page, find):
    """Reload until the worker has made what is looked for, and return it."""
    until = time.monotonic() + 90
    while not find().count() and time.monotonic() < until:
        time.sleep(1)
        page.reload()
    return find().first


def link_in_mail(page, person):
    """Where the mail to this person about the review leads."""
    page.goto(f"/demo/mail/?to={person}")
    subject = re.compile(f"Access review: {FINANCE}")
    reloaded_until(page, lambda: page.get_by_role("link", name=subject)).click()
    return re.search(r"/reviews/[0-9a-f-]+/", page.locator("main").inner_text())[0]


def test_review_from_the_mail_to_the_removal(visitor):
    reviewer = visitor().sign_in("approver")
    reviewer.goto(link_in_mail(reviewer, "approver@example.org"))
    expect(reviewer.get_by_role("heading", level=1)).to_have_text(FINANCE)
    expect(reviewer.locator("main")).to_contain_text("0 of 7 answered")

    worst = reviewer.locator(".pim-row").first
    expect(worst).to_contain_text("Recommended: remove")
    name = worst.locator("h3").inner_text().split(" eligible")[0]
    worst.get_by_placeholder("Reason").fill("Does other work now.")
    worst.get_by_role("button", name="Remove").focus()
    reviewer.keyboard.press("r")
    expect(reviewer.locator("main")).to_contain_text("1 of 7 answered")
    reviewer.keyboard.press("d")
    expect(reviewer.locator("main")).to_contain_text("2 of 7 answered")

    console = visitor().sign_in("role_admin", "/console/reviews/instance/")
    console.get_by_role("link", name=re.compile(FINANCE)).click()
    for act, reason in (("Stop", "Enough for a test."), ("Apply the results", "Looked at them.")):
        console.get_by_role("link", name=act).click()
        console.get_by_label("Reason").fill(reason)
        console.get_by_role("button", name=act).click()
    expect(console.locator("main, #content").first).to_contain_text("are being applied")
    rows = console.locator(".pim-table tr", has_text=name)
    expect(reloaded_until(console, lambda: rows.filter(has_text="applied"))).to_be_visible()

    with console.expect_download() as evidence:
        console.get_by_role("link", name="Evidence").click()
    lines = [json.loads(line) for line in evidence.value.path().read_text().splitlines()]
    assert [(line["person"], line["reason"]) for line in lines[1:] if line["result"] == "applied"] == [
        (name, "Does other work now.")
    ]
    assert all(line["events"] for line in lines[1:] if line["answers"])
