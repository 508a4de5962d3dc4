"""Five roles in one act and kept as a set, by pages that are sound, and without a script."""

import re

from playwright.sync_api import expect

from tests.browser.test_pages import faults

REASON = "The shop stands still."


def tick_all(page):
    for box in page.locator("#eligible input[type=checkbox]").all():
        box.check()
    page.get_by_role("button", name="Activate those ticked").click()


def test_five_roles_activated_with_one_code_one_of_them_refused(visitor):
    visit = visitor()
    tick_all(visit.sign_in("on_call"))
    several = visit.page.url.removeprefix(visit.demo.address)
    assert faults(visit, several) == []
    page = visitor(java_script_enabled=False, storage_state=visit.context.storage_state()).page
    page.goto(several)
    page.get_by_label("Name of the set").fill("Shop down")
    page.get_by_role("button", name="Keep", exact=True).click()
    kept = page.get_by_role("link", name="Change Shop down").get_attribute("href")
    tick_all(page)
    console = visitor().sign_in("role_admin", "/console/assignments/eligibleassignment/?q=Ketch")
    console.locator("#result_list tbody tr", has_text="Fleet Planner").get_by_role("link").first.click()
    console.get_by_role("link", name=re.compile("Remove")).click()
    console.get_by_label("Reason").fill("Plans no lorries any more.")
    console.get_by_role("button", name=re.compile("Remove")).click()

    page.get_by_label("Reason").fill(REASON)
    page.get_by_label("Ticket number for Web Shop Deployer").fill("INC-4711")
    page.get_by_label("One-time code").fill(visit.demo.code("on_call"))
    page.get_by_role("button", name="Activate all").click()

    main = page.locator("main")
    expect(main).to_contain_text("4 of 5 could be had.")
    expect(main).to_contain_text(re.compile(r"Fleet Planner · .*: refused\. You are not eligible"))
    expect(main).to_contain_text(re.compile(r"Server Administrator · .*: waiting for approval\."))
    expect(page.locator("section[aria-labelledby=active] h3")).to_have_count(3)

    page.get_by_role("link", name="Activate Shop down").click()
    expect(main).to_contain_text(re.compile("Fleet Planner.*You are not eligible for it any more."))
    expect(main).to_contain_text(re.compile("Web Shop Deployer.*It is active or scheduled already."))

    visit.context.clear_cookies()  # a proof goes on under a new key
    visit.context.add_cookies(page.context.cookies())
    assert [fault for path in ["/", kept] for fault in faults(visit, path)] == []
