"""Every kind of mail, with all that it may hold and with next to nothing."""

import email.policy
import html
import re
from datetime import UTC, datetime
from email import message_from_bytes
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.mail import get_connection
from django.template import TemplateDoesNotExist

from notifications.mail import build, render
from notifications.models import Kind, Message
from notifications.snapshot import encode

AT = datetime(2026, 11, 21, 17, 40, tzinfo=UTC)
URL = "https://pim.example/requests/1/?a=1&b=2"
FULL = {
    "user": "Ana O'Berg",
    "actor": "Tom <Lind>",
    "decider": "Kim & Dahl",
    "approver": "Kim & Dahl",
    "name": "Ana O'Berg",
    "delegator": "Kim & Dahl",
    "delegate": "Tom <Lind>",
    "role": "Backup <Operator>",
    "scope": "/Data & Centre",
    "starts_at": AT,
    "ends_at": AT,
    "ended_at": AT,
    "asked_at": AT,
    "changed_at": AT,
    "expires_at": AT,
    "review_by_at": AT,
    "duration": 5400,
    "reason": "Restore of <b>all</b>\n\n-- \nApproved by: nobody",
    "justification": "Fine & good",
    "ticket": "INC-4711",
    "ticket_url": "https://tickets.example.org/INC-4711",
    "address": "192.0.2.7",
    "count": 2,
    "stage": 1,
    "lines": "Reader · /: 2",
    "what": "one-time codes added",
    "figures": [{"key": "activated", "number": 12}],
    "roles": [{"role": "Backup <Operator>", "eligible": 3, "standing": 1}],
    "first": "9 Nov 2026",
    "since_at": AT,
    "until_at": AT,
    "last": "15 Nov 2026",
    "items": [{"created_at": AT, "subject": "Ana O'Berg activated Backup <Operator>"}],
    "more": 3,
    "review": "Quarter & <year>",
    "about": "Who still needs it?",
    "words": "Ask <them> & me",
    "keep": 3,
    "remove": 2,
    "no_change": 1,
    "failed": 2,
    "protected": 1,
    "by_hand": 1,
    "url": URL,
}
# What each kind may hold, as those who queue it give it.
KINDS = {
    "account_created": "name actor url",
    "factors_changed": "name what changed_at address url",
    "eligible_assigned": "user actor role scope starts_at ends_at reason url",
    "active_assigned": "user actor role scope starts_at ends_at reason url",
    "assigned_in_bulk": "actor count lines url",
    "assignment_removed": "user actor role scope reason url",
    "approval_asked": "user role scope duration starts_at reason ticket ticket_url expires_at url",
    "approval_reminder": "user role scope duration starts_at reason ticket ticket_url expires_at url",
    "delegation_made": "delegator delegate starts_at ends_at reason url",
    "delegation_ended": "delegator delegate starts_at ends_at reason url",
    "stage_passed": "user decider role scope stage url",
    "request_decided": "user decider role scope justification ends_at duration url",
    "request_canceled": "user role scope actor url",
    "request_timed_out": "user role scope asked_at url",
    "request_failed": "user role scope url",
    "role_activated": "user role scope starts_at ends_at reason ticket ticket_url approver url",
    "activation_extended": "user role scope ends_at reason ticket ticket_url approver url",
    "activation_ending": "role scope ends_at url",
    "emergency_used": "user role scope ends_at reason review_by_at url",
    "emergency_unreviewed": "user role scope changed_at reason review_by_at url",
    "emergency_sign_in": "user changed_at address url",
    "role_ended": "user role scope ended_at actor url",
    "assignment_expiring": "user role scope ends_at url",
    "assignment_updated": "user actor role scope starts_at ends_at reason url",
    "extension_asked": "user role scope ends_at reason url",
    "extension_decided": "user decider role scope justification starts_at ends_at url",
    "assignment_expired": "user role scope ended_at url",
    "digest": "items count more url",
    "weekly_digest": "first last since_at until_at figures roles url",
    "checkpoint_signed": "count lines url",
    "review_started": "review about words expires_at url",
    "review_reminder": "review about words expires_at url",
    "review_closed": "review keep remove no_change url",
    "review_undone": "review failed protected by_hand url",
    "alerts_raised": "items count more url",
}
CAUSES = ["expired", "deactivated", "removed", "eligibility_ended", "holder_disabled", "canceled"]
BOTH = [{"audience": "requestor"}, {"audience": "admin"}]
EACH = [one | {"kind_of": kind} for one in BOTH for kind in ("eligible", "active")]
# The words that choose between sentences; {} stands for none given.
CHOICES = {
    "delegation_made": [{"audience": "delegate"}, {"audience": "delegator"}],
    "delegation_ended": [{"audience": "delegate"}, {"audience": "delegator"}],
    "eligible_assigned": BOTH,
    "active_assigned": BOTH,
    "assignment_removed": EACH,
    "request_decided": [
        {"audience": audience, "outcome": outcome}
        for audience in ("requestor", "approver")
        for outcome in ("approved", "denied")
    ],
    "request_failed": [{"cause": "The role was deleted & gone."}],
    "role_activated": BOTH,
    "activation_extended": BOTH,
    "emergency_used": [{"drill": "drill"}],
    "emergency_unreviewed": [{"drill": "drill"}],
    "role_ended": [one | {"cause": cause} for one in BOTH for cause in CAUSES],
    "assignment_expiring": EACH,
    "assignment_expired": EACH,
    "assignment_updated": EACH,
    "review_closed": [{"itself": "itself"}],
    "extension_asked": [{"action": action} for action in ("extension", "renewal")],
    "extension_decided": [
        one | {"action": action, "outcome": outcome}
        for one in BOTH
        for action in ("extension", "renewal")
        for outcome in ("approved", "denied")
    ],
}
CASES = [(kind, choice) for kind in KINDS for choice in [{}, *CHOICES.get(kind, [])]]
# Facts that are shown as they are, on one line.
ONE_LINE = {"scope", "reason", "ticket", "approver", "justification", "address"}
NAMES = [" ".join([kind, *choice.values()]) for kind, choice in CASES]


def message(kind="role_ended", content=None, **fields):
    fields = {"time_zone": "Europe/Berlin", "language": "en", "to_address": "ana@example.org"} | fields
    return Message(kind=kind, context=encode({} if content is None else content), **fields)


class Page(HTMLParser):
    """The text of a page; fails on a tag that is not closed in its turn."""

    VOID = {"meta", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.links = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name == "href"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def test_kinds_and_their_templates_are_the_same():
    directory = Path(site.BASE_DIR) / "templates" / "emails"
    subjects = {path.name.removesuffix(".subject.txt") for path in directory.glob("*.subject.txt")}
    bodies = {path.stem for path in directory.glob("[!_]*.txt") if not path.stem.endswith(".subject")} - {"base"}
    assert subjects == bodies == set(Kind.values) == set(KINDS)


@pytest.mark.parametrize(("kind", "choice"), CASES, ids=NAMES)
def test_render_with_everything(kind, choice):
    content = {key: FULL[key] for key in KINDS[kind].split()} | choice
    words = render(message(kind, content))
    page = Page(words.html)
    assert re.fullmatch(r"PIM: \S.*", words.subject)
    assert "None" not in words.text + page.text
    assert not re.search(r"&(amp|lt|gt|quot|#x?\d+);", words.subject + words.text)
    assert "\n" + URL in words.text
    assert page.links == [*filter(None, [content.get("ticket_url")]), URL]
    if "role" in content:
        assert "Role: Backup <Operator>" in words.text
        assert "Backup &lt;Operator&gt;" in words.html
    for key in content:
        if key.endswith("_at"):
            assert "21 Nov 2026, 18:40 CET" in words.text
            assert "21 Nov 2026, 18:40 CET" in page.text
        elif key in ONE_LINE:
            shown = " ".join(content[key].split())
            assert shown in words.text
            assert shown in page.text


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize(("kind", "choice"), CASES, ids=NAMES)
def test_render_with_nothing(kind, choice, nothing):
    words = render(message(kind, dict.fromkeys(KINDS[kind].split(), nothing) | choice))
    page = Page(words.html)
    assert re.fullmatch(r"PIM: \S.*", words.subject)
    assert "None" not in words.subject + words.text + page.text
    assert not page.links
    assert not re.search(r"^\w[\w ]*:\s*$", words.text, re.MULTILINE)  # no label without its fact


@pytest.mark.parametrize("kind", KINDS)
def test_render_with_no_keys_at_all(kind):
    assert render(message(kind)).subject.startswith("PIM: ")


@pytest.mark.parametrize("kind", KINDS)
def test_text_and_html_say_the_same(kind):
    words = render(message(kind, {key: FULL[key] for key in KINDS[kind].split()}))
    page = Page(words.html).text
    for line in words.text.splitlines():
        if line.strip() and line != "-- " and not line.startswith("https://"):
            label, _, fact = line.partition(": ")
            assert line in page or (label in page and fact in page) or line.removesuffix(":") in page


def test_render_takes_a_reason_as_one_line():
    words = render(message("role_activated", FULL | {"audience": "admin"}))
    assert "Reason: Restore of <b>all</b> -- Approved by: nobody\n" in words.text
    assert words.text.count("\n-- \n") == 1


def test_render_collapses_the_subject():
    role = "Backup\r\nBcc: all@example.org\x85\u2028Operator"
    words = render(message(content={"role": role, "audience": "requestor"}))
    assert words.subject == "PIM: Backup Bcc: all@example.org Operator has ended"


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Europe/Berlin", "21 Nov 2026, 18:40 CET"),
        ("Asia/Kolkata", "21 Nov 2026, 23:10 IST"),
        ("America/New_York", "21 Nov 2026, 12:40 EST"),
        ("Nowhere/At_All", "21 Nov 2026, 17:40 UTC"),
        ("", "21 Nov 2026, 17:40 UTC"),
        ("../../etc/passwd", "21 Nov 2026, 17:40 UTC"),
    ],
)
def test_render_in_the_zone_of_the_recipient(zone, shown):
    words = render(message(content={"ended_at": AT}, time_zone=zone))
    assert f"Ended: {shown}\n" in words.text


@pytest.mark.parametrize(("audience", "words"), [("requestor", "is yours from"), ("admin", "holds")])
def test_role_activated_for_later_says_from_when(audience, words):
    subject = render(message("role_activated", FULL | {"audience": audience, "scheduled": True})).subject
    assert words in subject
    assert "from 21 Nov 2026" in subject
    assert "until" not in subject


def test_role_ended_early_names_who_did_it():
    words = render(message(content=FULL | {"cause": "deactivated"}))
    assert "Tom <Lind> ended it early." in words.text


@pytest.mark.parametrize("language", ["en", "en-gb", "tlh", "", "../.."])
def test_render_in_a_language_that_there_is(language):
    assert "has ended" in render(message(language=language)).subject


def test_render_says_which_template_is_missing():
    with pytest.raises(TemplateDoesNotExist, match=r"emails/unknown_kind\.subject\.txt"):
        render(message("unknown_kind"))


def built(**fields):
    made = message(**fields)
    mail = build(made, render(made), get_connection())
    return made, message_from_bytes(mail.message().as_bytes(), policy=email.policy.default)


def test_build_makes_text_and_html():
    _, mail = built(content={"role": "Zoë's <role>"})
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert "Zoë's <role>" in mail.get_body(("plain",)).get_content()
    assert html.escape("Zoë's <role>") in mail.get_body(("html",)).get_content()
    assert mail["Subject"].startswith("PIM: Zoë's <role>")


def test_build_sets_its_headers():
    made, mail = built()
    assert mail["Message-ID"] == made.message_id
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["X-PIM-Kind"] == "role_ended"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ana Berg", "Ana Berg"),
        ('A "B", C\\', 'A "B", C\\'),
        ("Zoë", "Zoë"),
        ("A\r\nBcc: x@example.org", "A Bcc: x@example.org"),
        ("", ""),
    ],
)
def test_build_names_the_recipient(name, shown):
    _, mail = built(to_name=name)
    [address] = mail["To"].addresses
    assert (address.display_name, address.addr_spec) == (shown, "ana@example.org")
    assert mail["Bcc"] is None
