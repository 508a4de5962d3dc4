"""A real Chromium against the real demo: its web process, its worker, its database and its mail."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

# The first three are for the address bar, in two processes of their own for each window: they cost more than a page.
# The others are what Playwright leaves out, as far as it concerns us: this list takes the place of its own.
LEFT_OUT = ["WebUIOmniboxPopup", "WebUIOmniboxAimPopup", "WebUIOmniboxFullPopup"]
LEFT_OUT += ["AimEnabled", "AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"]
LEFT_OUT += ["LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding"]
LEFT_OUT += ["PreconnectToSearch", "ThirdPartyStoragePartitioning"]
FLAGS = ["--no-sandbox", f"--disable-features={','.join(LEFT_OUT)}"]


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before the parallel run looks at the groups, and after all are shuffled
def pytest_collection_modifyitems(items):
    """They share one demo, so one process has them all; it begins with them, or all else would end before they do."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("browser"))
    yield
    items.sort(key=lambda item: pytest.mark.xdist_group("browser").mark not in item.iter_markers())


@pytest.fixture(scope="package")  # and no longer: beside its loop no other test could ask the database
def browser(chromium):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


class Visitor:
    """One person at a browser of their own; notes everything that a page must not do."""

    def __init__(self, browser, demo, **options):
        self.demo, self.faults = demo, []
        self.context = browser.new_context(base_url=demo.address, locale="en-GB", **options)
        self.context.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.blockedURI))"
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(30_000)
        expect.set_options(timeout=15_000)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        self.page.on("request", self._note_outside)

    def _note(self, message):
        if message.type in ("error", "warning") and "the server responded with a status of" not in message.text:
            self.faults.append(f"console: {message.text} at {self.page.url}")

    def _note_outside(self, request):
        if not request.url.startswith((self.demo.address, "data:", "blob:")):
            self.faults.append(f"outside: {request.url}")

    def sign_in(self, username, path="/"):
        """Go to `path` as this person; only who comes for the first time has to pass the sign-in page."""
        if cookies := self.demo.cookies.get(username):
            self.context.add_cookies(cookies)
            self.context.request.get("/healthz")  # or the console found the session idle since then
            self.page.goto(path)
        else:
            self._pass_sign_in(username)
            self.demo.keep_session(username, self.context.cookies())
            if path != "/":
                self.page.goto(path)
        return self.page

    def _pass_sign_in(self, username):
        person, page = self.demo.people[username], self.page
        page.goto("/sign-in/")
        page.get_by_label(re.compile("Username")).fill(person["username"])
        page.get_by_label("Password").fill(person["password"])
        page.get_by_role("button", name="Continue").click()
        page.locator("input[autocomplete=one-time-code]").fill(self.demo.code(username))
        page.get_by_role("button", name=re.compile("Sign in|Continue")).click()
        page.wait_for_url(f"{self.demo.address}/")


@pytest.fixture
def visitor(browser, demo):
    """`visitor(**options)`: a new browser; what its pages did that they must not fails the test at the end.

    Each test finds the demo as it was made, whatever tests before it did.
    """
    demo.as_it_was()
    visitors = []

    def enter(**options):
        visitors.append(Visitor(browser, demo, **options))
        return visitors[-1]

    yield enter
    faults = [fault for each in visitors for fault in each.faults]
    for each in visitors:
        each.context.close()
    assert faults == []
