"""Links of mails are pointers: neither whom they were sent to changes anything by following them, nor a scanner."""

import re
from contextlib import closing

# What a page view and a sign-in write of themselves, and what the worker does meanwhile: it numbers and seals events.
APART = re.compile(
    "django_|sqlite_|notifications_message|pim_site_|audit_(?!event)|accounts_(browsersession|signincounter|stepup|totp)"
)


def ask_by_hook(visit):
    """Ask for a role that asks the change calendar first; the answer comes over HTTP, by way of the worker."""
    page = visit.sign_in("requester")
    page.get_by_role("link", name=re.compile("^Request Change Manager")).click()
    page.get_by_label("Reason").fill("As agreed on Monday.")
    page.get_by_label("Ticket number").fill("CHG-7")
    page.get_by_label("One-time code").fill(visit.demo.code("requester"))
    page.get_by_role("button", name="Request").click()
    for _ in range(60):
        if page.get_by_text("The role is active.").count():
            return page
        page.wait_for_timeout(300)
        page.reload()
    raise AssertionError(page.inner_text("main"))


def links(demo):
    """Every link of every mail of the demo: {path: usernames of those who got it and can sign in}."""
    names = {person["email"]: name for name, person in demo.people.items() if "otpauth" in person}
    with closing(demo.database()) as database:
        mails = database.execute("select kind, to_address, context from notifications_message").fetchall()
    assert {kind for kind, *_ in mails} >= {"approval_asked", "request_decided", "role_activated", "emergency_used"}
    found = {}
    for _kind, address, context in mails:
        for path in re.findall(rf"{demo.address}(/[^\"\s\\]*)", context):
            found.setdefault(path, set()).update({names[address]} if address in names else ())
    return found


def shared_out(found):
    """Each link to one who got it, to as few people as can be: {username: paths}; those of nobody here are left out."""
    left, shares = {path: names for path, names in found.items() if names}, {}
    while left:
        name = max(set().union(*left.values()), key=lambda one: (sum(one in names for names in left.values()), one))
        shares[name] = sorted(path for path, names in left.items() if name in names)
        left = {path: names for path, names in left.items() if name not in names}
    return shares


def one_of_each_kind(paths):
    """A browser also runs what is in a page, and pages of one kind have the same in them."""
    return set({re.sub("[0-9a-f-]{32,36}", "", path): path for path in paths}.values())


def rows(demo):
    """All rows but those; of people all but when they last signed in."""
    with closing(demo.database()) as database:
        names = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        found = {
            name: database.execute(f'select * from "{name}"').fetchall() for name in names if not APART.match(name)
        }
        columns = [name for _, name, *_ in database.execute("pragma table_info(accounts_user)")]
    seen = columns.index("last_sign_in_at")
    found["accounts_user"] = [row[:seen] + row[seen + 1 :] for row in found["accounts_user"]]
    return found


def changed(demo, before):
    return {name for name, now in rows(demo).items() if sorted(map(repr, now)) != sorted(map(repr, before[name]))}


def test_links_of_all_mails_change_nothing(visitor, demo):
    signed_in = {"requester": ask_by_hook(visitor())}
    found = links(demo)
    for name, paths in shared_out(found).items():
        page = signed_in.get(name) or visitor().sign_in(name)
        before, shown = rows(demo), one_of_each_kind(paths)
        for path in paths:
            answer = page.goto(path) if path in shown else page.request.get(path)
            assert answer.ok, (name, path, answer.status)
            assert "/sign-in/" not in answer.url, (name, path)
        assert changed(demo, before) == set(), name
    stranger, before = visitor().page, rows(demo)
    for path in one_of_each_kind(found):
        assert "/sign-in/" in stranger.request.get(path).url, path
    assert changed(demo, before) == set()
