"""A role held by a group, click by click: given, activated by one member alone, and gone with the membership."""

import re

from playwright.sync_api import expect

from tests.browser.test_tour import choose

ROLE, GROUP = "Database Reader", "Harbour watch"


def make_group(console, *members):
    console.goto("/console/accounts/group/add/")
    console.get_by_label("Name").fill(GROUP)
    for member in members:
        choose(console, "Members", member)
    console.get_by_role("button", name="Save", exact=True).click()
    expect(console.get_by_text(re.compile("was added successfully"))).to_be_visible()


def assign_to_group(console):
    console.goto("/console/assignments/eligibleassignment/")
    console.get_by_role("link", name="Assign eligible").click()
    choose(console, "or groups", GROUP)
    choose(console, "Role", ROLE)
    console.get_by_role("button", name="Continue").click()
    console.get_by_label("Reason").fill("Looks after the shop at night.")
    console.get_by_role("button", name="Assign eligible").click()
    expect(console.get_by_text(f"{GROUP} is made eligible for {ROLE}.")).to_be_visible()


def offered(page):
    """The rows of the home page that offer the role through the group."""
    return page.locator("#eligible li", has_text=re.compile(f"{ROLE}.*through {GROUP}", re.DOTALL))


def activate(visit, username, scope):
    page = visit.page
    offered(page).get_by_role("link", name=re.compile("Activate")).click()
    page.get_by_label("Where").select_option(label=scope)
    page.get_by_label("Reason").fill("A slow query at midnight.")
    page.get_by_label("One-time code").fill(visit.demo.code(username))
    page.get_by_role("button", name="Activate").click()
    expect(page).not_to_have_url(re.compile("/activate/"))


def active_now(page):
    """What the person's home shows as active, each as role and scope."""
    page.goto("/")
    rows = page.locator("section[aria-labelledby=active] .pim-row__body")
    return [" · ".join(row.locator("h3, .pim-row__note").all_inner_texts()) for row in rows.all()]


def leave_group(console, member):
    console.goto(f"/console/accounts/group/?q={GROUP}")
    console.locator("#result_list tbody th a").first.click()
    chosen = console.locator(".field-members .select2-selection__choice", has_text=member)
    chosen.locator(".select2-selection__choice__remove").click()
    console.keyboard.press("Escape")
    console.get_by_role("button", name="Save", exact=True).click()
    expect(console.get_by_text(re.compile("was changed successfully"))).to_be_visible()


def test_role_of_a_group_from_assignment_to_leaving_it(visitor):
    console = visitor().sign_in("role_admin", "/console/")
    make_group(console, "Sofia Mast", "Selma Lantern")
    assign_to_group(console)

    sofia, selma = visitor(), visitor()
    page = sofia.sign_in("second_approver")
    expect(offered(page)).to_have_count(1)
    assert active_now(page) == []
    activate(sofia, "second_approver", "/IT/Web shop/shop-database")

    assert active_now(page) == [f"{ROLE} · /IT/Web shop/shop-database"]

    other = selma.sign_in("security_reader")
    expect(offered(other)).to_have_count(1)
    assert ROLE not in " ".join(active_now(other))

    leave_group(console, "Sofia Mast")

    assert active_now(page) == []
    expect(offered(page)).to_have_count(0)
    expect(offered(other)).to_have_count(1)
