"""What no browser of ours sends, but somebody will: it is refused in order, reads nothing that is hidden, and never
brings a page down."""

from wsgiref.util import setup_testing_defaults

import pytest
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.messages.storage.cookie import CookieStorage
from django.core.exceptions import SuspiciousOperation
from django.http import QueryDict
from django.urls import reverse
from django.utils.timezone import now

from assignments.models import ActiveAssignment, EligibleAssignment
from pim_site.admin.base import events_of, list_of
from pim_site.console import FAILING, NOW, watched
from roles.models import Role
from tests.client import signed_in
from tests.factories import ActivationFactory, EligibleFactory, RequestFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db

LISTS = [f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" for model in admin.site._registry]
MANY_WORDS = "word " * 1_500


@pytest.fixture
def console(client):
    signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR, password="md5$salt$0123"))
    return client


def status(client, url, **query):
    return client.get(url, query).status_code


# --- narrowing a list -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "lookup"),
    [
        ("accounts_user", "password__startswith"),
        ("accounts_user", "password"),
        ("accounts_user", "totpdevice__encrypted_key__startswith"),
        ("accounts_user", "totpdevice__isnull"),
        ("accounts_user", "username__regex"),
        ("accounts_group", "members__password__startswith"),
        ("assignments_activeassignment", "user__password__startswith"),
        ("assignments_activeassignment", "role__name__regex"),
        ("approvals_request", "settings__changed_by_label"),
        ("roles_role", "permissions__codename"),
        ("audit_event", "canonical__contains"),
        ("audit_event", "id__in"),
        ("notifications_message", "context__contains"),
    ],
)
def test_list_narrowed_by_what_it_does_not_offer_refused(console, page, lookup):
    assert status(console, reverse(f"admin:{page}_changelist"), **{lookup: "m"}) == 400


@pytest.fixture
def listed(rf):
    """``listed(model, name=value)``: the list of the console as an administrator narrows it, all of it asked for.

    None if it is refused in order. The pages around it are much the same for each value.
    """
    person = holder_of(Role.GLOBAL_ADMINISTRATOR)

    def ask(model, query):
        request = rf.get("/", query)
        request.user, request._messages = person, CookieStorage(request)
        try:
            found = admin.site.get_model_admin(model).get_changelist_instance(request)
        except (IncorrectLookupParameters, SuspiciousOperation):
            return None
        assert len(found.result_list) <= found.result_count
        found.offered = [choice for spec in found.filter_specs for choice in spec.choices(found)]
        return found

    return ask


def test_list_narrowed_by_its_own_filters(listed):
    for model, page in admin.site._registry.items():
        links = [QueryDict(choice["query_string"].removeprefix("?")) for choice in listed(model, {}).offered]
        assert [link for link in links if listed(model, link) is None] == [], page


def test_list_narrowed_by_links_from_other_pages(console):
    active = ActivationFactory()
    RequestFactory(eligible_assignment=EligibleFactory(user=active.user))
    rows = [active.user, active.role, active.scope, active.eligible_assignment]
    pages = [
        console.get(reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_change", args=[row.pk])) for row in rows
    ]
    links = [section.more for page in pages for section in page.context["sections"] if section.more]

    assert len(links) >= 8
    assert [link for link in [*links, events_of(active.user)] if status(console, link) != 200] == []


def test_list_narrowed_by_numbers_on_the_index(console):
    held = {"approvals.view_request", "assignments.view_activeassignment", "notifications.view_message"}

    tiles = [tile for group in (NOW, FAILING) for tile in watched(held, group, now())]
    assert [tile.url for tile in tiles if status(console, tile.url) != 200] == []


ODD_VALUES = ["\0", "9" * 30, "x", "\U0001f4a9", "0001-01-01", "2026-02-31"]
# What the stock console reads on every list, in one and the same way.
OF_EVERY_LIST = ["p", "e", "all", "_facets", "_popup", "_to_field", "_changelist_filters"]


@pytest.mark.once  # the next two ask the database
@pytest.mark.parametrize("value", ODD_VALUES)
def test_list_answers_what_the_stock_console_reads(console, value):
    for name in OF_EVERY_LIST:
        assert status(console, list_of(EligibleAssignment), **{name: value}) < 500, name


@pytest.mark.parametrize("value", ODD_VALUES)
def test_list_with_odd_values_asks_nothing_that_fails(listed, value):
    for model, page in admin.site._registry.items():
        for name in ("o", "p", "q", *page.narrowed_by):
            listed(model, {name: value})


@pytest.mark.parametrize("turn", range(len(ODD_VALUES)))
def test_filter_with_odd_values_asks_nothing_that_fails(listed, turn):
    """Each filter meets each value once, and each comparison once."""
    comparisons = ["", "__exact", "__id__exact", "__isnull", "__gte", "__lt"]
    value = ODD_VALUES[turn].replace("0001-01-01", "0001-01-01T00:00Z")  # as the links of the filters are
    for model, page in admin.site._registry.items():
        for number, each in enumerate(page.list_filter):
            name = each[0] if isinstance(each, tuple) else getattr(each, "parameter_name", each)
            listed(model, {name + comparisons[(number + turn) % len(comparisons)]: value})


# --- searching ------------------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("name", LISTS)
def test_list_searched_by_many_words_answers(console, name):
    assert status(console, reverse(name), q=MANY_WORDS) == 200


@pytest.mark.parametrize("model", admin.site._registry, ids=LISTS)
def test_list_searched_by_many_words_is_asked(listed, model):
    assert listed(model, {"q": MANY_WORDS})


def test_home_searched_by_many_words_answers(client):
    signed_in(client, UserFactory())

    assert status(client, "/", q=MANY_WORDS) == 200


def test_chooser_searched_by_many_words_answers(console):
    field = {"app_label": "assignments", "model_name": "eligibleassignment", "field_name": "user"}

    assert status(console, reverse("admin:autocomplete"), term=MANY_WORDS, **field) == 200


def test_chooser_for_a_relation_that_comes_back_refused(console):
    field = {"app_label": "auth", "model_name": "permission", "field_name": "role"}

    assert status(console, reverse("admin:autocomplete"), term="a", **field) == 403


# --- what no box offers ---------------------------------------------------------------------------------------

# What is not even written as a key comes to no database.
NO_KEYS = ["\0", "9" * 30, *(pytest.param(key, marks=pytest.mark.once) for key in ("x", "1,2", "None", "\U0001f4a9"))]
SETTINGS = {
    "activation_max_duration": "x",
    "notifications": "x",
    "stage1_approvers": "x",
    "stage1_approver_groups": "x",
}


@pytest.mark.parametrize("key", NO_KEYS)
@pytest.mark.parametrize("kind", ["eligible", "active"])
def test_assignment_of_nobody_asked_again(console, kind, key):
    url = reverse(f"admin:assignments_{kind}assignment_assign")

    for names in (["user"], ["role"], ["scope"], ["user", "role", "scope"]):
        assert status(console, url, **dict.fromkeys(names, key)) == 200


@pytest.mark.parametrize("key", NO_KEYS)
@pytest.mark.parametrize("page", ["accounts_user", "accounts_group", "roles_resource", "roles_role"])
def test_new_row_with_keys_of_nothing_asked_again(console, page, key):
    data = dict.fromkeys(["manager", "owners", "members", "parent", "resource", "permissions", *SETTINGS], key)
    url = reverse(f"admin:{page}_add")

    answer = console.post(url, data)

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors


@pytest.mark.parametrize("key", NO_KEYS)
def test_settings_with_keys_of_nothing_asked_again(console, key):
    role = Role.objects.built_in(Role.HELPDESK_ADMINISTRATOR)

    answer = console.post(reverse("admin:roles_role_settings", args=[role.pk]), dict.fromkeys(SETTINGS, key))

    assert answer.status_code == 200
    assert {"stage1_approvers", "stage1_approver_groups"} <= set(answer.context["form"].errors)


@pytest.mark.parametrize("page", ["accounts_user", "accounts_group", "roles_resource", "roles_role"])
def test_new_row_begins_with_nothing_from_the_address(console, page):
    url, odd = reverse(f"admin:{page}_add"), {**SETTINGS, "username": "x", "manager": "x", "is_protected": "on"}

    assert console.get(url, odd).context["adminform"].form.initial == {}


@pytest.mark.parametrize(
    "cookie", ['"abcdefgh\\000k"', '"\\377\\377\\377\\377\\377\\377\\377\\377"', "../../x", "x" * 4000]
)
@pytest.mark.parametrize(
    "name",
    [
        "pim-session",
        *(pytest.param(name, marks=pytest.mark.once) for name in ("pim-csrf", "messages", "django_language")),
    ],
)
def test_cookie_with_what_no_cookie_of_ours_holds_answers(client, name, cookie):
    assert client.get("/", HTTP_COOKIE=f"{name}={cookie}").status_code == 302
    assert (
        client.post("/sign-in/", {"identifier": "x", "password": "x"}, HTTP_COOKIE=f"{name}={cookie}").status_code
        == 200
    )


# --- addresses and methods ------------------------------------------------------------------------------------


@pytest.mark.once
@pytest.mark.parametrize("key", ["1", "no-key", "_00", "9" * 30])
def test_console_has_no_way_from_any_row_to_a_page(console, key):
    assert [number for number in range(30) if status(console, f"/console/r/{number}/{key}/") != 404] == []


@pytest.mark.once
@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_console_answers_no_other_method(console, method):
    eligible = EligibleFactory()
    urls = ["/console/", list_of(EligibleAssignment), list_of(ActiveAssignment), "/console/jsi18n/"]
    urls.append(reverse("admin:assignments_eligibleassignment_change", args=[eligible.pk]))

    assert {getattr(console, method)(url).status_code for url in urls} == {405}


def test_console_address_of_a_row_that_is_none_answers(console):
    for model in admin.site._registry:
        base = list_of(model)
        for key in ("x", "_00", "%00", "9" * 30, "%F0%9F%92%A9"):
            assert status(console, f"{base}{key}/change/") in (302, 404), (model, key)


# --- codecs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def status_by_wsgi(settings):
    """The answer of the whole web process: the test client leaves out what is in front of Django."""
    settings.DEBUG = True  # without it, the process refuses to start with the settings of the tests
    from pim_site.wsgi import application

    def ask(method, content_type):
        environ = {"REQUEST_METHOD": method, "PATH_INFO": "/sign-in/", "QUERY_STRING": "next=%2B2D0-"}
        environ |= {"CONTENT_TYPE": content_type, "HTTP_HOST": "testserver"}
        setup_testing_defaults(environ)
        answers = []
        list(application(environ, lambda status, headers, *error: answers.append(status)))
        return int(answers[0][:3])

    return ask


@pytest.mark.once
@pytest.mark.parametrize(
    "named",
    [
        "charset=utf-7",
        "charset=rot13",
        "charset=undefined",
        "charset=utf-16",
        "CHARSET=latin-1",
        'charset="hex"',
        "charset*=utf-8''rot13",
        "charset*0=ro; charset*1=t13",
        "charset=utf-8; charset=idna",
        "charset=a\0b",
        "name*=no-codec''x",
        "name*=undefined''%41",
    ],
)
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
def test_other_codec_than_ours_refused(status_by_wsgi, kind, named):
    assert {status_by_wsgi(method, f"{kind}; {named}") for method in ("GET", "POST")} == {415}


@pytest.mark.once
@pytest.mark.parametrize(
    "kind", ["", "text/plain", "text/plain; charset=utf-8", "a/b; CHARSET=UTF-8", "a/b; charset", ";;"]
)
def test_our_own_codec_taken(status_by_wsgi, kind):
    assert status_by_wsgi("GET", kind) == 200


@pytest.mark.once
@pytest.mark.parametrize(
    "name", [b"name*=no-codec''x", b"name*=undefined''%41", b"name=\xff", b"", b"name=a; filename=\0"]
)
def test_form_with_odd_headers_answers(client, name):
    body = b"--x\r\nContent-Disposition: form-data; " + name + b"\r\n\r\nabc\r\n--x--\r\n"

    assert client.generic("POST", "/sign-in/", body, content_type="multipart/form-data; boundary=x").status_code == 200
