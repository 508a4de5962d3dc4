"""An approval by two of three people, one of whom is represented, at a phone."""

import re
from datetime import datetime, timedelta

from playwright.sync_api import expect

from tests.browser.test_settings import role_page

PHONE = {"has_touch": True, "is_mobile": True, "viewport": {"width": 360, "height": 740}}
REQUEST = re.compile("Vera Gull asks for Payments Releaser")


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def ask_two_of_three(page):
    """Name a third approver, and let two of them have to say yes."""
    role_page(page, "Payments Releaser")
    page.get_by_role("searchbox", name="Approvers").first.fill("Petra Quay")
    page.locator(".select2-results__option", has_text="Petra Quay").click()
    page.locator("[name=stage1_quorum]").fill("2")
    page.get_by_role("button", name="Review before saving").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(re.compile(r"Version \d+ is in use now at"))).to_be_visible()


def test_two_of_three_approve_with_a_delegate_at_a_phone(visitor, demo):
    ask_two_of_three(visitor().sign_in("global_admin"))

    sofia = visitor(**PHONE).sign_in("second_approver", "/delegation/")
    sofia.get_by_label("Colleague").fill(demo.people["outsider"]["username"])
    sofia.get_by_label("End").fill((datetime.now() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M"))
    sofia.get_by_label("Reason").fill("At sea.")
    sofia.get_by_role("button", name="Delegate").click()
    expect(sofia.get_by_text("Otto Reef decides for you")).to_be_visible()
    assert fits(sofia)

    arthur = visitor(**PHONE).sign_in("approver", "/approvals/")
    arthur.get_by_role("link", name=REQUEST).first.click()
    expect(arthur.locator("main")).to_contain_text("0 of 2 approved")
    arthur.get_by_role("button", name="I am looking at it").click()
    expect(arthur.get_by_text("The other approvers see that you are looking at this.")).to_be_visible()

    otto = visitor(**PHONE).sign_in("outsider", "/approvals/")
    otto.get_by_role("link", name=REQUEST).first.click()
    expect(otto.get_by_text(re.compile("Arthur Keel is looking at this"))).to_be_visible()
    assert fits(otto)
    otto.get_by_label("Reason").fill("Seen the list.")
    otto.get_by_role("button", name="Approve").click()
    expect(otto.get_by_text("Noted. More people must approve before the role is granted.")).to_be_visible()
    expect(otto.locator("main")).to_contain_text("Otto Reef for Sofia Mast approved")

    sofia.goto(otto.url)
    expect(sofia.locator("main")).to_contain_text("1 of 2 approved")
    expect(sofia.get_by_role("button", name="Approve")).to_have_count(0)

    arthur.goto("/approvals/")
    arthur.get_by_role("checkbox", name=REQUEST).check()
    arthur.get_by_text("Approve", exact=True).click()
    arthur.get_by_label("Reason").fill("Agreed.")
    arthur.get_by_role("button", name="Decide those that are ticked").click()
    expect(arthur.get_by_text(re.compile("Payments Releaser · Vera Gull: granted"))).to_be_visible()
    assert fits(arthur)

    arthur.goto(otto.url)
    expect(arthur.locator("main")).to_contain_text("Otto Reef for Sofia Mast approved")
    expect(arthur.locator("main")).to_contain_text("Arthur Keel approved")
