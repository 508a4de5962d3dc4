"""A known role in two clicks and a code; and with the keyboard alone."""

import re

from playwright.sync_api import expect


def test_known_role_takes_two_clicks_and_a_code(visitor):
    visit = visitor()
    page = visit.sign_in("requester")
    page.evaluate("window.name = '0'; 0")
    page.context.add_init_script("addEventListener('click', () => { window.name = Number(window.name) + 1 }, true)")
    page.goto("/")
    row = page.locator("#eligible li", has_text="Ledger Reader")
    row.get_by_role("link", name=re.compile("^Activate")).click()
    expect(page.get_by_label("Reason")).not_to_have_value("")  # as the last time
    page.get_by_label("One-time code").press_sequentially(visit.demo.code("requester"))
    page.get_by_role("button", name="Activate").click()

    expect(page.get_by_text("The role is active.")).to_be_visible()
    assert page.evaluate("window.name") == "2"


def test_role_activated_with_the_keyboard_alone(visitor):
    visit = visitor()
    page = visit.sign_in("on_call")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()
    page.wait_for_function("!document.activeElement.closest('dialog')")  # the focus leaves it a moment later
    page.keyboard.press("/")
    expect(page.get_by_label("Find a role")).to_be_focused()
    page.keyboard.type("warehouse")
    page.keyboard.press("ArrowDown")
    chosen = page.get_by_role("checkbox", name="Warehouse Operator")
    expect(chosen).to_be_focused()
    page.keyboard.press("Space")
    expect(chosen).to_be_checked()
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Activate several roles")).to_be_visible()
    tab_to(page, page.get_by_label("Reason"))
    page.keyboard.type("Stock is wrong.")
    tab_to(page, page.get_by_label("One-time code"))
    page.keyboard.type(visit.demo.code("on_call"))
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_contain_text(re.compile("Warehouse Operator · .*: active now."))


def test_request_approved_with_the_keyboard_alone(visitor):
    page = visitor().sign_in("approver", "/approvals/")
    link = page.get_by_role("link", name=re.compile("Vera Gull asks for Payments Releaser")).first
    tab_to(page, link)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Reason"))
    page.keyboard.type("Seen the list.")
    tab_to(page, page.get_by_role("button", name="Approve"))
    page.keyboard.press("Enter")

    expect(page.locator("main")).to_contain_text("Arthur Keel approved")


def tab_to(page, target):
    """Go on with the tabulator until `target` has the focus, as far as a person would."""
    for _ in range(60):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"no tabulator reaches {target}")
