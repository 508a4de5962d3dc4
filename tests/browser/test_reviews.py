"""A quarterly campaign over three roles, from its definition in the console through the mails to the evidence."""

import json
import re
import time
from datetime import UTC, datetime

from playwright.sync_api import expect

NAME = "Figures of the quarter"


def reloaded_until(page, find):
    """Reload until the worker has made what is looked for, and return it."""
    until = time.monotonic() + 90
    while not (found := find()) and time.monotonic() < until:
        time.sleep(1)
        page.reload()
    return found


def link_in_mail(page, person, about=f"Access review: {NAME}"):
    """Where the mail to this person about the review leads."""
    page.goto(f"/demo/mail/?to={person}")
    reloaded_until(page, page.get_by_role("link", name=re.compile(about)).all)[0].click()
    return re.search(r"/reviews/[0-9a-f-]+/(results/)?", page.locator("main").inner_text())[0]


def pick(page, field, text):
    """Choose in a box that searches while one types."""
    box = page.locator(f"#id_{field} + .select2")
    box.click()
    box.locator(".select2-search__field").fill(text)
    page.locator(".select2-results__option", has_text=text).first.click()


def defined(console):
    """A quarterly series over three roles, that asks managers, or else Sofia Mast; it begins at once."""
    console.get_by_label("Name:").fill(NAME)
    for role in ("Ledger Reader", "Payroll Clerk", "Payments Releaser"):
        pick(console, "roles", role)
    console.locator("#id_stage1_reviewers").select_option("managers")
    pick(console, "stage1_fallback", "Sofia Mast")
    console.get_by_label("First day").fill(f"{datetime.now(UTC):%Y-%m-%d}")
    console.get_by_label("Time of day").fill("00:00")
    console.get_by_label("Time zone").select_option("UTC")
    console.get_by_label("Recurrence").select_option("quarterly")
    console.get_by_role("button", name="Save", exact=True).click()
    expect(console.get_by_role("heading", name="To come")).to_be_visible()


def remove(page, name, reason, *, by_key):
    """Answer that what this person has is not needed."""
    row = page.locator(".pim-row", has_text=name).first
    field = row.get_by_placeholder("Reason")
    field.fill(reason)
    field.press("Enter")  # which says no answer
    expect(field).to_have_value(reason)
    if by_key:
        expect(row).to_be_focused()
        page.keyboard.press("r")
    else:
        row.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("status").first).to_contain_text("remove")


def test_campaign_from_the_definition_to_the_evidence(visitor):
    console = visitor().sign_in("role_admin", "/console/reviews/definition/add/")
    defined(console)

    manager = visitor().sign_in("approver")
    manager.goto(link_in_mail(manager, "approver@example.org"))
    expect(manager.get_by_role("heading", level=1)).to_have_text(NAME)
    expect(manager.locator("main")).to_contain_text("0 of 5 answered")
    remove(manager, "Egon Sand", "Does other work now.", by_key=True)
    expect(manager.locator("main")).to_contain_text("1 of 5 answered")
    manager.keyboard.press("d")
    expect(manager.locator("main")).to_contain_text("2 of 5 answered")

    fallback = visitor(java_script_enabled=False).sign_in("second_approver")
    fallback.goto(link_in_mail(fallback, "second.approver@example.org"))
    remove(fallback, "Helena Cliff", "Has figures sent to her.", by_key=False)

    console.goto("/console/reviews/instance/")
    console.get_by_role("link", name=re.compile(NAME)).click()
    for act, reason in (("Stop", "Enough for a test."), ("Apply the results", "Looked at them.")):
        console.get_by_role("link", name=act).click()
        console.get_by_label("Reason").fill(reason)
        console.get_by_role("button", name=act).click()
    expect(console.locator("main, #content").first).to_contain_text("are being applied")
    for name in ("Egon Sand", "Helena Cliff"):
        rows = console.locator(".pim-table tr", has_text=name)
        expect(reloaded_until(console, rows.filter(has_text="applied").all)[0]).to_be_visible()
    with console.expect_download() as evidence:
        console.get_by_role("link", name="Evidence").click()
    lines = [json.loads(line) for line in evidence.value.path().read_text().splitlines()]
    assert {line["person"]: line["reason"] for line in lines[1:] if line["result"] == "applied"} == {
        "Egon Sand": "Does other work now.",
        "Helena Cliff": "Has figures sent to her.",
    }
    assert all(line["events"] for line in lines[1:] if line["answers"])

    console.goto(link_in_mail(console, "role.admin@example.org", about=f"The access review has ended: {NAME}"))
    expect(console.get_by_role("heading", level=1)).to_contain_text(NAME)
    expect(console.locator("main")).to_contain_text(re.compile(r"What came of removals\s*Applied 2"))
