"""Every page, in light and dark, wide and at 360 px: sound for axe, for the content policy, and for the thumb."""

import pytest
from axe_playwright_python.sync_playwright import Axe

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
LOOKS = [("light", 1280), ("dark", 1280), ("light", 360), ("dark", 360)]

SELF_SERVICE = {
    "requester": ["/", "/requests/", "/history/", "/security/", "/security/apps/add/", "/security/recovery-codes/"],
    "approver": ["/", "/approvals/", "/security/password/", "/no-console/", "/no-such-page/"],
}
CONSOLE = [
    "/console/",
    "/console/accounts/user/",
    "/console/accounts/user/add/",
    "/console/accounts/group/",
    "/console/accounts/group/add/",
    "/console/roles/resource/",
    "/console/roles/resource/add/",
    "/console/roles/role/",
    "/console/roles/role/add/",
    "/console/assignments/eligibleassignment/",
    "/console/assignments/eligibleassignment/assign/",
    "/console/assignments/activeassignment/",
    "/console/assignments/activeassignment/assign/",
    "/console/approvals/request/",
    "/console/audit/event/",
    "/console/notifications/message/",
]
# The first row of each of these lists is opened too.
DETAILS = ["accounts/user", "accounts/group", "roles/resource", "roles/role", "assignments/eligibleassignment"]
DETAILS += ["assignments/activeassignment", "approvals/request", "audit/event", "notifications/message"]


def faults(visit, path):
    """What is wrong with the page at `path`: axe's findings and sideways scrolling."""
    page = visit.page
    page.goto(path)
    page.wait_for_load_state()
    found, visit.faults = visit.faults, []
    broken = Axe().run(page, options=RULES).response["violations"]
    visit.faults = []  # axe itself tries inline styles
    found += [f"{each['id']}: {each['nodes'][0]['html'][:160]}" for each in broken]
    if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        found.append("scrolls sideways")
    return [f"{path}: {fault}" for fault in found]


def details(visit, lists):
    for name in lists:
        visit.page.goto(f"/console/{name}/")
        yield visit.page.locator("#result_list tbody th a, #result_list tbody td a").first.get_attribute("href")


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_strangers_pages_are_sound(visitor, scheme, width):
    visit = visitor(color_scheme=scheme, viewport={"width": width, "height": 800})

    assert [f for path in ["/sign-in/", "/enrol/nothing/", "/demo/mail/"] for f in faults(visit, path)] == []


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("username", SELF_SERVICE)
def test_self_service_pages_are_sound(visitor, username, scheme, width):
    visit = visitor(color_scheme=scheme, viewport={"width": width, "height": 800})
    page = visit.sign_in(username)
    paths = [*SELF_SERVICE[username]]
    for listing in ("/", "/requests/", "/approvals/"):
        page.goto(listing)
        links = page.locator("main a[href^='/requests/'], main a[href^='/activate/']")
        paths += [links.nth(number).get_attribute("href") for number in range(min(2, links.count()))]

    assert [fault for path in dict.fromkeys(paths) for fault in faults(visit, path)] == []


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
def test_console_pages_are_sound(visitor, scheme, width):
    visit = visitor(color_scheme=scheme, viewport={"width": width, "height": 800})
    visit.sign_in("global_admin")
    paths = [*CONSOLE, *details(visit, DETAILS)]

    assert [fault for path in paths for fault in faults(visit, path)] == []
