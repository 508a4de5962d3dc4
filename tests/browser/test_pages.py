"""Every page, in light and dark, wide and at 360 px: sound for axe, for the content policy, and for the thumb."""

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.test_passkeys import Authenticator, add_passkey
from tests.browser.test_settings import role_page

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]},
    "resultTypes": ["violations"],
    "preload": False,  # what only sound and films need
}
# The rules that look at colours: of all that axe knows, only these can answer otherwise in the dark.
OF_COLOUR = ["color-contrast", "link-in-text-block"]
COLOURS = RULES | {"runOnly": {"type": "rule", "values": OF_COLOUR}}
# They do not change with the width, and take much of the time.
SHAPES = RULES | {"rules": {name: {"enabled": False} for name in OF_COLOUR}}
# Asked for in the page, because all that axe found to be right would be megabytes on the way to the test.
AXE = Axe().axe_script
VIOLATIONS = """async ([where, rules]) => (await axe.run(where, rules)).violations.map(
    violation => `${violation.id}: ${violation.nodes[0].html.slice(0, 160)}`)"""
# The look at all of a page is at the colours of what no page before has shown: two looks would cost more.
FRESH_COLOURS = """axe.configure({rules: [{id: "color-contrast", selector: ":not([data-alike])"},
    {id: "link-in-text-block", selector: "a[href]:not([data-alike])"}]})"""
WORDS = """/ (?:href|name|value|for|title|action|datetime|aria-label\\w*|data-(?!theme)\\w+)="([^"]*)"|(?<=>)([^<]+)/g,
    (_, value, text) => (value || text || "").trim() && "x\""""
NAMES = r"/(?<=[ \"])(?:app|model|field|column)-[\w-]+/g"  # classes that say what is shown, not how
# Rows that differ in their words alone look alike: one of each kind is enough on either stripe. So do the entries of
# a box that is closed.
LESS = f"""() => {{ const seen = new Set(); for (const row of document.querySelectorAll("tbody tr, option")) {{
    const shape = [row.rowIndex % 2, row.parentNode.name, row.outerHTML.replace({WORDS})].join();
    if (seen.has(shape)) row.remove();
    seen.add(shape);
}} }}"""
# Where links of a page lead, without showing it.
LINKS = """async ([path, links]) => {
    const there = new DOMParser().parseFromString(await (await fetch(path)).text(), "text/html");
    return [...there.querySelectorAll(links)].map(link => link.getAttribute("href"));
}"""
SIDEWAYS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
# So does an element with the same attributes beneath the same: `seen` are those that pages before have shown.
KNOWN = f"""seen => {{
    const before = new Set(seen.split(" ")), known = new Set(before);
    const digest = text => {{
        let sum = 0;
        for (let at = 0; at < text.length; at++) sum = Math.imul(sum, 31) + text.charCodeAt(at) | 0;
        return String(sum);
    }};
    const look = (node, place) => {{
        const words = [...node.childNodes].some(child => child.nodeType === Node.TEXT_NODE && child.data.trim());
        const stripe = node.sectionRowIndex % 2;
        const own = node.cloneNode(false).outerHTML.replace({WORDS}).replace({NAMES}, "");
        const mark = digest(`${{place}} ${{stripe}} ${{words}} ${{own}}`);
        const old = [...node.children].map(child => look(child, mark)).every(Boolean) && known.has(mark);
        known.add(mark);
        node.toggleAttribute("data-alike", old);
        return old;
    }};
    return look(document.body, 0) ? "" : [...known].slice(before.size).join(" ");
}}"""
ALL, FRESH = {"include": [["html"]]}, {"exclude": [["[data-alike]"]]}
# After the first look, which is at the whole page.
LOOKS = [("dark", 1280, COLOURS), ("light", 360, SHAPES)]

ROWS = "#result_list tbody th a, #result_list tbody td a"

SELF_SERVICE = {
    "requester": [
        "/",
        "/requests/",
        "/history/",
        "/history/year/?deed=activated",
        "/security/",
        "/security/apps/add/",
        "/security/recovery-codes/",
        "/security/passkeys/add/",
        "/security/tokens/add/",
        "/mail/",
        "/api/v1/reference",
    ],
    "approver": [
        "/",
        "/approvals/",
        "/reviews/",
        "/delegation/",
        "/security/password/",
        "/no-console/",
        "/no-such-page/",
    ],
    "role_admin": ["/reviews/"],
}
CONSOLE = [
    "/console/",
    "/console/dashboard/",
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
    "/console/assignments/eligibleassignment/import/",
    "/console/approvals/request/",
    "/console/approvals/emergencyuse/",
    "/console/reviews/definition/",
    "/console/reviews/definition/add/",
    "/console/reviews/definition/calendar/",
    "/console/reviews/instance/",
    "/console/reviews/item/",
    "/console/alerts/alert/",
    "/console/alerts/incident/",
    "/console/audit/event/",
    "/console/audit/event/destinations/",
    "/console/notifications/message/",
    "/console/webhooks/subscription/add/",
    "/console/webhooks/delivery/",
]
# The first row of each of these lists is opened too.
DETAILS = ["accounts/user", "accounts/group", "roles/resource", "roles/role", "assignments/eligibleassignment"]
DETAILS += [
    "reviews/instance",
    "reviews/definition",
    "reviews/item",
    "assignments/activeassignment",
    "approvals/request",
    "alerts/alert",
    "alerts/incident",
    "audit/event",
    "notifications/message",
]


def faults(visit, path):
    """What is wrong with the page at `path`: while loading, and in each look for axe and by scrolling sideways."""
    visit.page.goto(path)
    return [f"{path}: {fault}" for fault in faults_here(visit)]


def faults_here(visit):
    page = visit.page
    page.wait_for_load_state()
    found, visit.faults = [*visit.faults, *scrolling(page)], []
    page.evaluate(LESS)
    page.evaluate(AXE + FRESH_COLOURS)
    fresh = page.evaluate(KNOWN, visit.demo.seen)
    visit.demo.seen += f" {fresh}"
    looks = [(ALL, "light", 1280, RULES), *((FRESH, *look) for look in LOOKS if fresh)]
    found += [fault for look in looks for fault in looked_at(page, *look)]
    visit.faults = []  # axe itself tries inline styles
    return found


def looked_at(page, where, scheme, width, rules):
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour is measured while it fades
    page.set_viewport_size({"width": width, "height": 800})
    return [f"{scheme} {width}: {fault}" for fault in page.evaluate(VIOLATIONS, [where, rules])]


def scrolling(page):
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate(SIDEWAYS):
            yield f"scrolls sideways at {width}"


def details(page, lists):
    return [page.evaluate(LINKS, [f"/console/{name}/", ROWS])[0] for name in lists]


def test_words_of_ticks_stand_beside_them_on_a_phone(visitor):
    page = visitor(viewport={"width": 360, "height": 740}).sign_in(
        "global_admin", "/console/webhooks/subscription/add/"
    )
    widths = page.locator("[name=kinds]").evaluate_all("all => all.map(each => each.offsetWidth)")
    assert widths
    assert max(widths) < 30


# How much the colour of an element differs from what it stands on, by WCAG 2.
CONTRAST = """(name) => {
    const colour = node => getComputedStyle(node).backgroundColor, glass = document.querySelector(name);
    let ground = glass.parentNode;
    while (colour(ground) === "rgba(0, 0, 0, 0)") ground = ground.parentNode;
    const amount = node => colour(node).match(/[0-9.]+/g).slice(0, 3).map(n => n / 255).reduce((sum, n, at) =>
        sum + [.2126, .7152, .0722][at] * (n <= .04045 ? n / 12.92 : ((n + .055) / 1.055) ** 2.4), .05);
    return Math.max(amount(glass) / amount(ground), amount(ground) / amount(glass));
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_glass_beside_a_search_is_as_clear_as_words(visitor, scheme):
    page = visitor(color_scheme=scheme).sign_in("global_admin", "/console/accounts/user/")
    assert page.evaluate(CONTRAST, "#changelist-search label") > 4.5


def linked(page, lists):
    links = "main a[href^='/requests/'], main a[href^='/activate/'], main a[href^='/reviews/']"
    return [path for each in lists for path in page.evaluate(LINKS, [each, links])[:2]]


def test_strangers_pages_are_sound(visitor):
    visit = visitor()
    paths = ["/sign-in/", "/enrol/nothing/", "/demo/mail/"]

    assert [fault for path in paths for fault in faults(visit, path)] == []


@pytest.mark.parametrize("username", SELF_SERVICE)
def test_self_service_pages_are_sound(visitor, username):
    visit = visitor()
    page = visit.sign_in(username)
    paths = [*SELF_SERVICE[username], *linked(page, ["/", "/requests/", "/approvals/", "/reviews/"])]

    assert [fault for path in dict.fromkeys(paths) for fault in faults(visit, path)] == []


def behind(page, path, *names):
    """Where the links of the page at `path` lead whose names begin so."""
    page.goto(path)
    links = [page.locator("main").get_by_role("link", name=re.compile(f"^{name}")).first for name in names]
    return [link.get_attribute("href") for link in links]


def test_pages_behind_ones_own_things_are_sound(visitor):
    visit = visitor()
    page = visit.sign_in("requester")
    Authenticator(page)
    add_passkey(visit, "requester", "Laptop")
    paths = behind(page, "/", "Extend")
    paths += behind(page, "/security/", "Rename", "Remove … Laptop", "Replace", "Revoke")

    assert [fault for path in ["/security/", *paths] for fault in faults(visit, path)] == []


@pytest.fixture
def ending(demo):
    """Rita has a role active whose last minutes have begun."""
    facts = """SELECT e.id, e.user_id, e.role_id, e.scope_id, e.id, ?, ?, ?, '', 0 FROM
        assignments_eligibleassignment e JOIN accounts_user u ON u.id = e.user_id JOIN roles_role r ON r.id = e.role_id
        WHERE u.username = 'requester' AND r.name = 'Ledger Reader'"""
    columns = "id, user_id, role_id, scope_id, eligible_assignment_id, starts_at, created_at, ends_at"
    began, ends = (f"{datetime.now(UTC) + timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S}" for minutes in (-50, 9))
    with closing(demo.database()) as database, database:
        insert = f"INSERT INTO assignments_activeassignment ({columns}, end_reason, is_emergency) {facts}"
        assert database.execute(insert, (began, began, ends)).rowcount == 1


def test_extending_what_runs_is_sound(visitor, ending):
    visit = visitor()
    page = visit.sign_in("requester")
    page.locator("section[aria-labelledby=active]").get_by_role("link", name=re.compile("^Extend")).click()
    expect(page.get_by_text("How much longer")).to_be_visible()

    assert faults_here(visit) == []


def test_delegation_is_sound(visitor):
    visit = visitor()
    page = visit.sign_in("approver", "/delegation/")
    page.get_by_label("Colleague").fill("second_approver")
    page.get_by_label("End", exact=True).fill(f"{datetime.now() + timedelta(days=7):%Y-%m-%dT%H:%M}")
    page.get_by_role("button", name="Delegate").click()
    expect(page.locator("main")).to_contain_text("decides for you")

    assert faults_here(visit) == []


@pytest.fixture
def emergency(demo):
    change = "UPDATE roles_rolesettings SET emergency_allowed = 1 WHERE superseded_at IS NULL"
    with closing(demo.database()) as database, database:
        assert database.execute(change).rowcount > 0


def test_emergency_and_its_review_are_sound(visitor, emergency):
    visit = visitor()
    page = visit.sign_in("on_call")
    (activate,) = behind(page, "/", "Request")
    found = faults(visit, *behind(page, activate, "Emergency access"))
    page.get_by_label("Reason").fill("The shop stands still.")
    page.get_by_label("One-time code").fill(visit.demo.code("on_call"))
    page.get_by_role("button", name="Use emergency access").click()
    expect(page.locator("main")).to_contain_text("The role is active.")
    found += faults_here(visit)
    console = visitor()
    (use,) = details(console.sign_in("global_admin"), ["approvals/emergencyuse"])

    assert found + [fault for path in (use, use.replace("change", "review")) for fault in faults(console, path)] == []


def test_hook_from_its_making_to_its_secret_is_sound(visitor):
    visit = visitor()
    page = visit.sign_in("global_admin")
    found = faults(visit, "/console/roles/hook/add/")
    page.get_by_label("Name").fill("On-call plan")
    page.get_by_label("Address").fill("https://hooks.example.org/pim")
    page.get_by_role("button", name="Save", exact=True).click()
    pages = ["/console/roles/hook/", *details(page, ["roles/hook"])]
    pages += [pages[-1].replace("change", act) for act in ("disable", "secret")]
    found += [fault for path in pages for fault in faults(visit, path)]
    page.get_by_role("button", name="New secret").click()
    expect(page.locator("main")).to_contain_text("It is shown only now.")
    found += faults_here(visit)

    assert found + faults(visit, pages[1].replace("change", "test")) == []


def test_what_several_would_get_is_sound(visitor):
    visit = visitor()
    page = visit.sign_in("global_admin")
    (role,) = details(page, ["roles/role"])
    page.goto("/console/accounts/user/")
    people = [link.get_attribute("href") for link in page.locator("#result_list tbody th a").all()[:2]]
    chosen = "&".join([f"role={role.split('/')[4]}", *(f"user={person.split('/')[4]}" for person in people)])
    found = faults(visit, role.replace("change", "drop"))
    found += faults(visit, f"/console/assignments/eligibleassignment/assign/?{chosen}")
    page.get_by_label("Reason").fill("For the move.")
    page.get_by_role("button", name="Look what would happen").click()
    expect(page.get_by_role("heading", name="What would become of it")).to_be_visible()

    assert found + faults_here(visit) == []


def test_removal_of_a_scopes_settings_is_sound(visitor):
    visit = visitor()
    page = visit.sign_in("global_admin")
    role_page(page, "Server Administrator")
    page.locator("a[href^='?scope=']").first.click()
    page.get_by_role("link", name="Remove the settings of this scope").click()
    page.wait_for_url(re.compile("/remove/"))

    assert faults_here(visit) == []


def test_request_in_two_stages_is_sound(visitor):
    console = visitor().sign_in("global_admin")
    role_page(console, "Recipe Vault Keeper")
    console.get_by_text("Approval: second stage").last.click()
    console.locator("[name=stage2_used]").check()
    console.get_by_role("button", name="Review before saving").click()
    console.get_by_role("button", name="Save", exact=True).click()
    visit = visitor()
    page = visit.sign_in("second_approver", "/approvals/")
    page.get_by_role("link", name="asks for Recipe Vault Keeper").first.click()
    expect(page.locator("main")).to_contain_text("Stage 2: 0 of 1 approved")

    assert faults(visit, page.url.removeprefix(visit.demo.address)) == []


# Pages of the first role of the list.
OF_A_ROLE = ["settings/", "settings/compare/?left=1&right=1", "settings/copy/", "settings/1/", "history/"]
# What the buttons of a row lead to is opened too.
ACTS = ["accounts/user", "accounts/group", "roles/resource", "roles/role", "assignments/eligibleassignment"]
ACTS += ["assignments/activeassignment", "approvals/request", "alerts/incident", "alerts/alert"]


def acts(page, lists):
    """The pages behind the buttons of the last row of each list: the first is often one that only stays as it is."""
    for name in lists:
        last = page.evaluate(LINKS, [f"/console/{name}/", ROWS])[-1]
        buttons = f".object-tools a[href^='/console/{name}/'], .pim-actions a[href^='/console/{name}/']"
        yield from page.evaluate(LINKS, [last, buttons])


def test_what_people_did_is_sound(visitor):
    visit = visitor()
    page = visit.sign_in("global_admin")
    page.goto("/console/accounts/user/?q=hugo.pier")
    person = page.locator("#result_list tbody th a").first.get_attribute("href").split("change/")[0]
    page.goto("/console/assignments/activeassignment/?how=activated")
    active = page.locator("#result_list tbody th a").first.get_attribute("href").split("change/")[0]
    paths = [f"{person}year/?deed=activated", f"{active}events/", "/console/dashboard/?days=365"]

    assert [fault for path in paths for fault in faults(visit, path)] == []


def test_console_pages_are_sound(visitor):
    visit = visitor()
    paths = [*CONSOLE, *details(visit.sign_in("global_admin"), DETAILS)]
    (role,) = details(visit.page, ["roles/role"])
    paths += [role.split("change/")[0] + page for page in OF_A_ROLE]
    paths += acts(visit.page, ACTS)

    assert [fault for path in paths for fault in faults(visit, path)] == []
