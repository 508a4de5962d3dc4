"""What differs where there is no keyboard."""

import re

from playwright.sync_api import expect


def open_activation(visit):
    page = visit.sign_in("requester")
    page.get_by_role("link", name=re.compile("Activate")).first.click()
    return page


def test_recovery_code_can_be_typed_on_a_phone(visitor):
    page = open_activation(visitor(has_touch=True, is_mobile=True, viewport={"width": 360, "height": 740}))
    code = page.get_by_label("One-time code")
    expect(code).to_have_attribute("inputmode", "numeric")

    page.get_by_role("button", name="Type a recovery code").click()

    expect(code).to_have_attribute("inputmode", "text")
    expect(code).to_be_focused()


def test_keyboards_have_letters(visitor):
    expect(open_activation(visitor()).get_by_role("button", name="Type a recovery code")).to_be_hidden()
