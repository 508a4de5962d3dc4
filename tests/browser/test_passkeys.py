"""Passkeys in a real Chromium, with the authenticator that its developer tools pretend to have."""

import re
from contextlib import closing

import pytest
from playwright.sync_api import expect


class Authenticator:
    """A device with a PIN that is always typed rightly, until it is told otherwise."""

    def __init__(self, page):
        self.session = page.context.new_cdp_session(page)
        self.session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        self.id = self.session.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def send(self, command, **arguments):
        return self.session.send(f"WebAuthn.{command}", {"authenticatorId": self.id, **arguments})

    def credentials(self):
        return self.send("getCredentials")["credentials"]

    def verifies(self, yes):
        self.send("setUserVerified", isUserVerified=yes)

    def counts(self, number):
        (credential,) = self.credentials()
        self.send("removeCredential", credentialId=credential["credentialId"])
        self.send("addCredential", credential=credential | {"signCount": number})


def add_passkey(visit, username, name):
    page = visit.page
    page.goto("/security/passkeys/add/")
    page.get_by_label(re.compile("Name of the passkey")).fill(name)
    page.get_by_label("One-time code").fill(visit.demo.code(username))
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Create the passkey").click()
    expect(page.get_by_text(f"The passkey “{name}” was added.")).to_be_visible()


def to_second_step(visit, username):
    page, person = visit.page, visit.demo.people[username]
    page.goto("/sign-in/")
    page.get_by_label(re.compile("Username")).fill(person["username"])
    page.get_by_label("Password").fill(person["password"])
    page.get_by_role("button", name="Continue").click()
    return page


def sign_out(page):
    page.locator(".pim-person summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()


def use_passkey(page):
    page.get_by_role("button", name="Use a passkey").click()


def test_journey(visitor):
    """Add, sign in, activate a role, be asked with a copied key, and remove it."""
    visit = visitor()
    page = visit.sign_in("requester")
    device = Authenticator(page)
    add_passkey(visit, "requester", "Laptop")
    assert [each["isResidentCredential"] for each in device.credentials()] == [True]

    sign_out(page)
    to_second_step(visit, "requester")
    device.verifies(False)
    use_passkey(page)
    expect(page.get_by_text("The passkey was not used.")).to_be_visible()
    assert "/sign-in/code/" in page.url
    device.verifies(True)
    use_passkey(page)
    page.wait_for_url(f"{visit.demo.address}/")

    page.get_by_role("link", name=re.compile("^Activate")).first.click()
    page.get_by_label("Reason").fill("The nightly job is stuck.")
    use_passkey(page)
    expect(page.get_by_text("passkey", exact=True)).to_be_visible()

    device.counts(0)
    page.goto("/security/recovery-codes/")
    use_passkey(page)
    expect(page.locator(".pim-field .errorlist").get_by_text("may have been copied")).to_be_visible()

    page.goto("/security/")
    page.get_by_role("link", name="Remove … Laptop").click()
    page.get_by_label("One-time code").fill(visit.demo.code("requester"))
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("“Laptop” was removed.")).to_be_visible()


def test_second_key_on_one_device_is_not_made(visitor):
    visit = visitor()
    page = visit.sign_in("approver")
    device = Authenticator(page)
    add_passkey(visit, "approver", "Laptop")
    page.goto("/security/passkeys/add/")
    use_passkey(page)  # the first passkey confirms the second
    page.get_by_role("button", name="Create the passkey").click()
    expect(page.get_by_text("This device has a passkey of yours already.")).to_be_visible()
    assert len(device.credentials()) == 1


def test_form_that_is_wrong_is_told_before_any_passkey_is_asked(visitor):
    visit = visitor()
    page = visit.sign_in("outsider")
    device = Authenticator(page)
    add_passkey(visit, "outsider", "Laptop")
    (before,) = device.credentials()
    page.goto("/security/password/")
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("New password, again").fill("short")
    use_passkey(page)
    expect(page.get_by_text("This password is too short.").first).to_be_visible()
    assert device.credentials() == [before]


def test_without_script_a_code_does(visitor):
    visit = visitor(java_script_enabled=False)
    to_second_step(visit, "helpdesk")
    expect(visit.page.get_by_role("button", name="Use a passkey")).to_have_count(0)
    visit.page.locator("input[autocomplete=one-time-code]").fill(visit.demo.code("helpdesk"))
    visit.page.get_by_role("button", name="Sign in").click()
    visit.page.wait_for_url(f"{visit.demo.address}/")
    visit.page.goto("/security/passkeys/add/")
    expect(visit.page.get_by_text("This browser offers no passkeys here.")).to_be_visible()


@pytest.fixture
def strict_role(demo, visitor):
    """The name of a role that takes a passkey and nothing else."""
    name = "Payroll Clerk"
    change = """UPDATE roles_rolesettings SET activation_authentication = ? WHERE superseded_at IS NULL
                AND role_id = (SELECT id FROM roles_role WHERE name = ?)"""
    with closing(demo.database()) as database, database:
        assert database.execute(change, ("phishing_resistant", name)).rowcount > 0
    return name


def test_role_that_takes_nothing_else(visitor, strict_role):
    """First without a passkey, which the page says how to get; then the form's own button asks for it."""
    visit = visitor()
    page = visit.sign_in("requester")
    device = Authenticator(page)
    link = page.get_by_role("link", name=re.compile(f"^(Activate|Request) {strict_role}"))
    link.click()
    expect(page.get_by_text("you have none yet")).to_be_visible()
    add_passkey(visit, "requester", "Laptop")

    page.goto("/")
    link.click()
    expect(page.locator("input[autocomplete=one-time-code]")).to_have_count(0)
    page.get_by_label("Reason").fill("The nightly job is stuck.")
    page.get_by_label("Ticket number").fill("CHG-1042")
    device.verifies(False)
    page.get_by_role("button", name=re.compile("^(Activate|Request)$")).click()
    expect(page.get_by_text("The passkey was not used.")).to_be_visible()
    device.verifies(True)
    page.get_by_role("button", name=re.compile("^(Activate|Request)$")).click()
    page.wait_for_url(re.compile("/requests/"))
    expect(page.get_by_text("passkey", exact=True)).to_be_visible()
