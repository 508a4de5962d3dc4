"""Many at once in the console: standing access made eligible, and rows of a file, click by click."""

import re

from playwright.sync_api import expect


def card(page):
    page.goto("/console/")
    return page.get_by_role("link", name=re.compile("Other standing privileged access"))


def number(link):
    return int(re.search(r"\d+", link.inner_text())[0])


def test_standing_access_made_eligible_from_the_insights(visitor):
    page = visitor().sign_in("global_admin", "/console/")
    before = number(card(page))
    card(page).click()
    page.locator("#result_list tbody tr", has_text="Milo Drift").locator("input.action-select").check()
    page.locator("select[name=action]").select_option(label="Make eligible instead")
    page.get_by_role("button", name="Go", exact=True).click()

    expect(page.locator("#content")).to_contain_text("Milo Drift")
    page.get_by_label("Reason").fill("Activates it when he needs it.")
    page.get_by_role("button", name="Make eligible instead").click()

    expect(page.locator("#content")).to_contain_text(
        "Milo Drift is eligible for Privileged Role Administrator now, and holds it no longer."
    )
    assert number(card(page)) == before - 1


def test_groups_imported_from_a_file(visitor):
    page = visitor().sign_in("global_admin", "/console/accounts/group/")
    page.get_by_role("link", name="Import CSV").click()
    text = "name,members\nNight watch,dina.wave;egon.sand\n"
    page.locator("input[type=file]").set_input_files(
        {"name": "groups.csv", "mimeType": "text/csv", "buffer": text.encode()}
    )
    page.get_by_label("Reason").fill("A new team.")
    page.get_by_role("button", name="Look at it").click()

    expect(page.get_by_role("heading", name=re.compile("What will happen: 1 created"))).to_be_visible()
    expect(page.get_by_role("cell", name="create group Night watch")).to_be_visible()
    page.get_by_role("button", name="Import", exact=True).click()

    expect(page.locator("body")).to_contain_text("Imported: 1 created, 0 changed, 0 ended.")
    expect(page.get_by_role("link", name="Night watch")).to_be_visible()
