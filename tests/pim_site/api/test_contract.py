"""What holds for every operation: described as it is, nothing else taken, nothing told to strangers."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest
from django.urls import get_resolver, reverse
from django.utils.timezone import now
from rest_framework import serializers

from accounts.models import User
from accounts.services import recognise
from accounts.tokens import Scope
from alerts.models import Alert
from assignments.models import EligibleAssignment
from notifications.models import Message
from pim_site.api import alerts as api_alerts
from pim_site.api import (
    asking,
    delegations,
    emergencies,
    hooks,
    imports,
    keeping,
    oneself,
    principals,
    requests,
    review_series,
    roles,
    several,
    tokens,
    webhooks,
)
from pim_site.api import reviews as api_reviews
from pim_site.api.examples import METHODS
from pim_site.api.fields import spelled
from pim_site.api.schema import document
from pim_site.models import KeptAnswer, RequestCounter
from reviews.models import Answer, Definition, Instance, Item
from roles.models import Role
from roles.services import SETTINGS_FIELDS
from tests.api import Program
from tests.client import signed_in
from tests.factories import (
    DelegationFactory,
    EligibleFactory,
    EmergencyUseFactory,
    GroupFactory,
    HookFactory,
    IncidentFactory,
    RequestFactory,
    ResourceFactory,
    RoleFactory,
    SubscriptionFactory,
    TokenFactory,
    TotpDeviceFactory,
    UserFactory,
    code_of,
    holder_of,
    root,
)
from tests.reviews.making import begun, series

pytestmark = [pytest.mark.django_db, pytest.mark.once]
UNDESCRIBED = {"/api/v1/schema", "/api/v1/reference", "/api/v1/"}


# --- the description ------------------------------------------------------------------------------------------


def routes():
    """Address and methods of every view of the API."""
    (api,) = [entry for entry in get_resolver().url_patterns if str(entry.pattern) == "api/v1/"]
    for entry in api.url_patterns:
        address = "/api/v1/" + str(entry.pattern).replace("<uuid:pk>", "{id}").replace("<slug:pk>", "{id}").replace(
            "<int:pk>", "{id}"
        )
        yield address, set(getattr(entry.callback, "actions", {"get": "", "post": ""}))


def test_every_route_is_described_and_everything_described_is_a_route():
    there = {(address, method) for address, methods in routes() for method in methods if address not in UNDESCRIBED}
    described = {(path, method) for path, each in document()["paths"].items() for method in METHODS if method in each}

    assert described == there - {(path, "head") for path, _method in there}


def shown():
    """Each serializer of rows, with the description of what it shows."""
    schemas = document()["components"]["schemas"]
    for serializer in serializers.ModelSerializer.__subclasses__():
        if serializer.__module__.startswith("pim_site.api") and serializer.__name__ in schemas:
            yield serializer, schemas[serializer.__name__]["properties"]


def test_choice_that_may_be_blank_is_described_so():
    blank = {
        (serializer.__name__, name): "" in described[name].get("enum", [""])
        for serializer, described in shown()
        for name in set(described) & {field.name for field in serializer.Meta.model._meta.fields}
        if (field := serializer.Meta.model._meta.get_field(name)).choices and field.blank
    }

    assert len(blank) >= 6
    assert [where for where, is_described in blank.items() if not is_described] == []


@pytest.mark.parametrize("address", ["access/mine", "reviews/{id}/progress", "reviews/{id}/results"])
def test_what_has_nothing_beside_it_takes_no_expand(address):
    review = begun(series(roles=(EligibleFactory().role,)))
    program = Program(holder_of(Role.GLOBAL_ADMINISTRATOR))

    status, refusal = program.get(address.format(id=review.pk), expand="definition")

    assert (status, refusal["errors"][0]["code"]) == (400, "unknown_parameter")
    described = document()["paths"][f"/api/v1/{address}"]["get"].get("parameters", [])
    assert "expand" not in [parameter["name"] for parameter in described]


MAKERS = {"get": "200", "post": "201"}
POINTERS = {"get": "$response.body#/results/0/id", "post": "$response.body#/id"}


def answers_of(methods, method):
    return methods.get(method, {}).get("responses", {})


def operations():
    for path, methods in document()["paths"].items():
        for method in METHODS:
            if method in methods:
                yield f"{method} {path}", methods[method]


def contents(operation):
    parts = [operation["requestBody"]] if "requestBody" in operation else []
    parts += [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    return [content for part in parts for content in part.get("content", {}).values()]


def test_every_operation_has_an_example_that_its_own_schema_allows():
    schemas = {"components": document()["components"]}
    wrong = []
    for name, operation in operations():
        bodies = contents(operation)
        if not bodies and "204" not in operation["responses"]:
            wrong.append(f"{name}: no example")
        for content in bodies:
            validator = jsonschema.Draft202012Validator(content["schema"] | schemas)
            wrong += [f"{name}: {error.message}" for error in validator.iter_errors(content["example"])]

    assert wrong == []


def test_list_and_creation_link_to_all_that_takes_the_id_of_what_they_answer():
    paths = document()["paths"]
    taking, linked = set(), set()
    for path, methods in paths.items():
        collection = path.partition("/{id}")[0]
        made = [method for method, status in MAKERS.items() if status in answers_of(paths.get(collection, {}), method)]
        for method, operation in methods.items():
            if re.fullmatch(r"/api/v1/\w+/\{id\}(/\w+)?", path):
                taking |= {(maker, collection, operation["operationId"]) for maker in made}
            for answer in operation["responses"].values():
                for follower, link in answer.get("links", {}).items():
                    assert link["parameters"] == {"id": POINTERS[method]}
                    linked.add((method, path, follower))

    assert linked == taking


def test_description_is_there_for_everybody_and_its_page_for_who_is_signed_in(client):
    assert client.get(reverse("api:schema")).json()["openapi"] == "3.1.0"
    assert client.get(reverse("api:reference")).status_code == 302
    signed_in(client, UserFactory())
    page = client.get(reverse("api:reference")).content.decode()
    assert all(path in page for path in document()["paths"])


# --- what is not described is not taken -----------------------------------------------------------------------

FORMS = {
    "POST principals": (principals.NewPrincipalIn, User),
    "PATCH principals/{user}": (principals.PrincipalIn, User),
    "POST groups": (principals.GroupIn, principals.Group),
    "PATCH groups/{group}": (principals.GroupIn, principals.Group),
    "POST resources": (roles.NewResourceIn, roles.Resource),
    "PATCH resources/{resource}": (roles.ResourceIn, roles.Resource),
    "POST roles": (roles.NewRoleIn, roles.Role),
    "PATCH roles/{role}": (roles.RoleIn, roles.Role),
    "POST role_settings": (roles.NewSettingsIn, roles.RoleSettings),
    "PATCH role_settings/{settings}": (roles.SettingsIn, roles.RoleSettings),
    "POST webhook_subscriptions": (webhooks.SubscriptionIn, webhooks.Subscription),
    "PATCH webhook_subscriptions/{subscription}": (webhooks.SubscriptionIn, webhooks.Subscription),
    "POST hooks": (hooks.HookIn, hooks.Hook),
    "PATCH hooks/{hook}": (hooks.HookIn, hooks.Hook),
    "POST hooks/{hook}/test": (requests.Nothing, hooks.Hook),
    "POST emergency_uses": (asking.InEmergency, emergencies.EmergencyUse),
    "POST emergency_uses/{use}/review": (emergencies.ReviewIn, emergencies.EmergencyUse),
    "POST delegations": (delegations.DelegationIn, delegations.Delegation),
    "POST delegations/{delegation}/end": (delegations.EndIn, delegations.Delegation),
    "POST review_definitions": (review_series.DefinitionIn, Definition),
    "PATCH review_definitions/{definition}": (review_series.DefinitionIn, Definition),
    "POST reviews/{review}/reassign": (api_reviews.ReassignIn, Instance),
    "PATCH alerts/{alert}": (api_alerts.AlertIn, api_alerts.Alert),
    "POST alerts/{alert}/scan": (requests.Nothing, api_alerts.Alert),
    "POST incidents/{incident}/dismiss": (api_alerts.DismissIn, api_alerts.Incident),
    "POST incidents/{incident}/reopen": (api_alerts.ReopenIn, api_alerts.Incident),
    "POST review_items/{item}/decide": (api_reviews.AnswerIn, Item),
    "POST review_decisions": (api_reviews.AnswersIn, Answer),
    "POST favourites": (keeping.FavouriteIn, keeping.Favourite),
    "POST role_sets": (keeping.RoleSetIn, keeping.RoleSet),
    "PATCH role_sets/{set}": (keeping.RoleSetNameIn, keeping.RoleSet),
    "POST principals/import": (imports.ImportIn, principals.User),
    "POST eligible_assignments/import": (imports.ImportIn, EligibleAssignment),
    "PATCH mail_preferences": (oneself.MailPreferencesIn, principals.User),
    "POST sessions/end": (requests.Nothing, oneself.BrowserSession),
    "POST outbox/{message}/send_again": (requests.Nothing, Message),
    "POST tokens": (tokens.TokenIn, tokens.ApiToken),
    "POST requests/{request}/cancel": (requests.CancelIn, requests.Request),
    "POST requests/{request}/approve": (requests.ApproveIn, requests.Request),
    "POST requests/{request}/deny": (requests.DenyIn, requests.Request),
    "POST requests/{request}/grant": (requests.GrantIn, requests.Request),
    "POST requests/{request}/claim": (requests.Nothing, requests.Request),
    "POST requests/{request}/release": (requests.Nothing, requests.Request),
    **{f"POST requests/several {action}": (form, requests.Request) for action, form in several.SEVERAL.items()},
    **{f"POST requests {action}": (form, requests.Request) for action, form in asking.ASKED.items()},
}


def review_of_an_access():
    review = begun(series(roles=(EligibleFactory().role,)))
    return {"definition": review.definition_id, "review": review.pk, "item": review.items.get().pk}


def undeclared():
    """Each column of the model behind each body that the body does not declare."""
    for name, (form, model) in FORMS.items():
        columns = {field.name for field in model._meta.get_fields()} | {"is_superuser", "is_staff", "pk"}
        yield name, sorted(columns - set(form().fields))


def test_no_body_takes_a_column_that_it_does_not_declare(admin, asker):
    role = RoleFactory()
    things = {
        "user": UserFactory().pk,
        "group": GroupFactory().pk,
        "resource": ResourceFactory().pk,
        "role": role.pk,
        "settings": role.settings.get().pk,
        "request": RequestFactory().pk,
        "alert": "no_mfa",
        "incident": IncidentFactory().pk,
        "hook": HookFactory().pk,
        "use": EmergencyUseFactory().pk,
        "delegation": DelegationFactory().pk,
        "subscription": SubscriptionFactory().pk,
        "set": keeping.RoleSet.objects.create(user=asker, name="Incident").pk,
        "message": Message.objects.create(kind="digest", context="{}", to_address="a@example.org").pk,
        **review_of_an_access(),
    }
    taken = []
    for name, columns in undeclared():
        method, path, *action = name.split()
        body = dict.fromkeys(columns, "x") | ({"action": action[0]} if action else {})
        status, answer = admin.send(method, path.format(**things), body, seen="*")
        refused = {error["field"] for error in answer.get("errors", []) if error["code"] == "unknown_field"}
        taken += [f"{name}: {column} ({status})" for column in columns if column not in refused]

    assert taken == []


def test_every_body_is_among_the_forms_that_are_looked_at():
    described = {
        content["schema"]["$ref"].rsplit("/", 1)[-1].removesuffix("Request").removeprefix("Patched")
        for _name, operation in operations()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if "$ref" in content["schema"]
    }
    looked_at = {form.__name__ for form, _model in FORMS.values()}
    without_columns = {
        "DecideIn",
        "JustificationIn",
        "MoveIn",
        "GovernIn",
        "RotateIn",
        "Questions",
        "NewRequest",
        "NewRequests",
    }

    assert described - looked_at == without_columns


@pytest.mark.parametrize(
    ("path", "query", "code"),
    [
        ("roles", {"nmae": "x"}, "unknown_parameter"),
        ("roles", {"ordering": "permissions"}, "invalid"),
        ("roles", {"expand": "permissions"}, "invalid"),
        ("roles", {"expand": "resource,"}, "invalid"),
        ("roles", {"page_size": "201"}, "invalid"),
        ("roles", {"is_privileged": "perhaps"}, "invalid_choice"),
        ("roles", {"is_privileged": "perhaps", "resource": "x"}, "invalid"),
        ("requests", {"status": "lost"}, "invalid_choice"),
        ("access/mine", {"at": "2020-01-01"}, "unknown_parameter"),
        ("audit_events", {"after": "2026-11-21"}, "invalid"),
        ("audit_events", {"before": "2026-11-21T10:00:00"}, "invalid"),
        ("requests", {"requested_after": "2026-11-21T10:00:00"}, "invalid"),
    ],
)
def test_parameter_that_is_not_offered_refused(admin, path, query, code):
    status, answer = admin.get(path, **query)

    assert (status, answer["code"], answer["errors"][0]["code"]) == (400, "invalid", code)


def test_filter_that_is_there_twice_refused(admin):
    status, answer = admin.get("requests?status=denied&status=pending_approval")

    assert (status, answer["code"], answer["errors"][0]["field"]) == (400, "parameter_repeated", "status")


def test_filter_takes_a_moment_in_any_offset(admin):
    waiting = RequestFactory(requested_at=datetime(2026, 11, 21, 18, 40, tzinfo=UTC))
    around = {"requested_after": "2026-11-21T19:40:00+01:00", "requested_before": "2026-11-21T18:40:01Z"}

    assert [row["id"] for row in admin.get("requests", **around)[1]["results"]] == [str(waiting.pk)]
    assert admin.get("requests", requested_after="2026-11-21T18:40:01Z")[1]["results"] == []


@pytest.mark.parametrize("value", ["", " ", "\t\u00a0"])
@pytest.mark.parametrize(("path", "name"), [("role_settings", "role"), ("roles", "name")])
def test_filter_without_a_value_does_not_show_all_rows(admin, path, name, value):
    status, answer = admin.get(path, **{name: value})

    assert (status, answer["code"]) == (422, "parameter_empty")


def test_cursor_of_somebody_elses_making_refused(admin):
    status, answer = admin.get("roles", cursor="nowhere")

    assert (status, answer["code"]) == (422, "cursor_invalid")


def test_list_turned_page_by_page_has_every_row_once(admin):
    made = {str(RoleFactory().pk) for _number in range(7)}
    seen, path = [], "roles?page_size=3&ordering=name"
    while path:
        _, page = admin.get(path)
        seen += [row["id"] for row in page["results"]]
        path = page["next"] and page["next"].partition("http://testserver")[2]

    assert len(seen) == len(set(seen)) == Role.objects.count()
    assert made <= set(seen)


# --- who asks -------------------------------------------------------------------------------------------------


def test_nobody_is_answered_with_a_problem_and_never_sent_to_the_sign_in_page():
    program = Program()

    status, answer = program.get("requests")

    assert (status, answer["code"]) == (401, "not_authenticated")
    assert program.headers["WWW-Authenticate"].startswith("Bearer")


def test_address_that_is_none_is_a_problem_too():
    status, answer = Program().get("no-such-thing")

    assert (status, answer["code"]) == (404, "not_found")


def test_session_of_a_browser_reads_and_writes_with_its_csrf_token(client):
    eligible = EligibleFactory()
    signed_in(client, eligible.user)
    body = {"action": "self_activate", "eligible_assignment": str(eligible.pk), "duration": "PT1H"}
    body |= {"justification": "Stuck."}
    client.handler.enforce_csrf_checks = True

    without = client.post("/api/v1/requests", json.dumps(body), "application/json")
    client.get(reverse("home"))
    token = client.cookies["pim-csrf"].value if "pim-csrf" in client.cookies else ""
    headers = {"X-CSRFToken": token or client.get("/security/tokens/add/").context["csrf_token"]}
    with_token = client.post("/api/v1/requests", json.dumps(body), "application/json", headers=headers)

    assert (without.status_code, with_token.status_code) == (403, 201)


def test_session_that_is_over_is_nobody(client):
    signed_in(client, UserFactory())
    session = client.session
    session["signed_in_at"] = 0
    session.save()

    assert client.get("/api/v1/requests").status_code == 401


@pytest.mark.parametrize("scope", Scope.values)
def test_token_does_what_its_scope_is_for(scope):
    """Each of these is refused for want of the scope alone, or goes on to be judged."""
    program = Program(holder_of(Role.GLOBAL_ADMINISTRATOR), scopes=scope)
    asked = {
        "read": ("GET", "roles", None),
        "audit": ("GET", "audit_events", None),
        "activate": ("POST", "requests", {"action": "self_activate"}),
        "assign": ("POST", "requests", {"action": "admin_remove", "justification": "Moved on."}),
        "approve": ("POST", "approvals", {}),
        "configure": ("POST", "roles", {}),
        "review": ("POST", "review_decisions", {}),
    }

    codes = {name: program.send(*request)[1].get("code") for name, request in asked.items()}

    assert {name for name, code in codes.items() if code != "scope_missing"} == {scope} & set(asked)


def test_service_account_acts_within_what_it_holds():
    service = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR, kind="service")
    without = UserFactory(kind="service")
    body = {"name": "Operator", "resource": str(ResourceFactory().pk)}

    assert Program(service).post("roles", body)[0] == 201
    assert Program(without).post("roles", body)[0] == 404  # it does not even see the resource


def test_answers_are_in_utc_whatever_the_zone_of_the_person():
    eligible = EligibleFactory(user__time_zone="Asia/Kolkata")

    (row,) = Program(eligible.user).get("eligible_assignments")[1]["results"]

    assert row["starts_at"] == eligible.starts_at.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_more_than_so_many_requests_in_a_minute_refused(settings, time_machine):
    time_machine.move_to(now().replace(second=30, microsecond=0), tick=False)
    settings.API_REQUESTS_PER_MINUTE = 2
    person = UserFactory()
    first, second, third = (Program(person) for _number in range(3))
    other, last = Program(UserFactory()), Program(UserFactory())

    def statuses(*programs):
        return [program.get("roles")[0] for program in programs]

    assert statuses(first, first, first) == [200, 200, 429]  # a token
    assert statuses(second, third) == [200, 429]  # its person: what was refused counts too
    assert statuses(other, other, last) == [200, 200, 200]
    assert statuses(last) == [429]  # the address of all
    assert first.get("roles")[1]["code"] == "throttled"
    assert first.headers["Retry-After"] == "31"
    time_machine.shift(31)
    assert first.get("roles")[0] == 200
    assert RequestCounter.objects.get(key=f"person {person.pk}").count == 1


# --- edits ----------------------------------------------------------------------------------------------------


def settings_of_a_role():
    return RoleFactory().settings.get()


EDITS = {
    "principals": (UserFactory, {"display_name": "Other"}),
    "groups": (GroupFactory, {"description": "Other"}),
    "resources": (ResourceFactory, {"description": "Other"}),
    "roles": (RoleFactory, {"description": "Other"}),
    "review_definitions": (series, {"description": "Other"}),
    "role_settings": (settings_of_a_role, {"ticket_required": True}),
    "hooks": (lambda: HookFactory(url="https://hooks.example.org"), {"name": "Other"}),
    "alerts": (lambda: Alert.objects.get(key="no_mfa"), {"is_enabled": False}),
}


@pytest.mark.parametrize("kind", EDITS)
def test_edit_takes_what_was_seen_and_nothing_older(admin, kind):
    factory, change = EDITS[kind]
    path = f"{kind}/{factory().pk}"
    (field,) = change
    before = admin.get(path)[1][field]
    seen = admin.headers["ETag"]

    without = admin.send("PATCH", path, change)
    status, edited = admin.patch(path, change, seen=seen)
    again = admin.patch(path, {field: before}, seen=seen)

    assert (without[0], status, edited[field]) == (428, 200, change[field])
    assert (again[0], again[1]["code"]) == (412, "changed_meanwhile")


def test_settings_edited_with_stages_and_cells(admin):
    role, approver, group = RoleFactory(), UserFactory(), GroupFactory(members=[UserFactory()])
    settings = role.settings.get()
    _, shown = admin.get(f"role_settings/{settings.pk}")
    stage = {"approvers": [str(approver.pk)], "timeout": "PT2H", "quorum": 1}
    other = {"approver_groups": [str(group.pk)]}
    cells = shown["notifications"]
    cells["activated"]["admin"]["level"] = "none"
    change = {"approval_required": True, "stages": [stage, other], "notifications": cells}

    status, made = admin.patch(f"role_settings/{settings.pk}", change, seen=admin.headers["ETag"])

    assert (status, made["version"], made["id"] != shown["id"]) == (200, 2, True)
    assert [(each["approvers"], each["timeout"]) for each in made["stages"]] == [
        ([str(approver.pk)], "PT2H"),
        ([], "P1D"),
    ]
    assert made["notifications"] == cells


def test_every_setting_that_people_set_is_written_as_it_is_shown(admin):
    settings = RoleFactory().settings.get()
    change = {"emergency_allowed": True, "emergency_duration": "PT1H30M", "extends_past_longest": True}
    before = admin.get(f"role_settings/{settings.pk}")[1]

    status, made = admin.patch(f"role_settings/{settings.pk}", change)

    assert set(SETTINGS_FIELDS) == set(roles.SettingsIn().fields)
    assert (status, before["emergency_duration"]) == (200, "PT1H")
    assert {name: made[name] for name in change} == change


def test_things_are_made_changed_and_deleted(admin):
    _, place = admin.post("resources", {"name": "Warehouse", "parent": str(root().pk)})
    _, role = admin.post("roles", {"name": "Operator", "resource": place["id"]})
    reason = {"justification": "A mistake."}

    kept = admin.delete(f"resources/{place['id']}", **reason)
    gone = [admin.delete(path, **reason)[0] for path in (f"roles/{role['id']}", f"resources/{place['id']}")]

    assert (kept[0], kept[1]["code"], gone) == (409, "in_use", [204, 204])


def test_role_gives_only_rights_that_its_maker_holds(admin):
    owner = Program(holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR))
    body = {"name": "Operator", "resource": str(root().pk), "is_privileged": True}

    made = admin.post("roles", body | {"permissions": ["accounts.add_user"]})
    refused = owner.post("roles", body | {"name": "Other", "permissions": ["accounts.add_user"]})
    unknown = admin.post("roles", body | {"name": "Third", "permissions": ["accounts.fly"]})

    assert (made[0], made[1]["permissions"]) == (201, ["accounts.add_user"])
    assert (refused[0], unknown[0], unknown[1]["code"]) == (403, 422, "not_found")


def test_person_made_disabled_and_enabled(admin):
    new = {"username": "mara", "display_name": "Mara Lindt", "email": "mara@example.org"}
    status, made = admin.post("principals", new)
    reason = {"justification": "Long leave."}

    states = [admin.post(f"principals/{made['id']}/{act}", reason)[1]["is_active"] for act in ("disable", "enable")]

    assert (status, states) == (201, [False, True])
    assert admin.post("principals", new)[1]["code"] == "name_taken"


# --- tokens ---------------------------------------------------------------------------------------------------


def test_token_made_by_a_token_takes_a_code_and_can_do_no_more():
    user = UserFactory()
    app, program = TotpDeviceFactory(user=user), Program(user, scopes="read activate")
    new = {"name": "Laptop", "scopes": ["read"], "lifetime": "P30D"}

    without = program.post("tokens", new)
    more = program.post("tokens", new | {"scopes": ["audit"], "code": code_of(app)})
    status, made = program.post("tokens", new | {"code": code_of(app)})

    assert (without[0], without[1]["code"]) == (403, "mfa_required")
    assert (more[0], more[1]["code"]) == (403, "scope_missing")
    assert (status, recognise(made["token"], address="").scopes) == (201, "read")


def test_token_revoked_by_itself_is_refused_at_once():
    token = TokenFactory()
    program = Program(token=token.text)

    assert program.get(f"tokens/{token.pk}")[1]["is_this"] is True
    assert program.delete(f"tokens/{token.pk}")[0] == 204
    assert program.get("tokens")[0] == 401


# --- a key given again ----------------------------------------------------------------------------------------


def test_same_key_and_body_get_the_same_answer_and_have_one_effect(admin):
    body = {"name": "Keepers"}
    first, headers = admin.post("groups", body, key="k-1"), dict(admin.headers)
    again, same = admin.post("groups", body, key="k-1"), dict(admin.headers)

    assert (again, same | {"X-Request-ID": ""}) == (first, headers | {"X-Request-ID": ""})
    assert (first[0], "ETag" in same) == (201, True)
    assert KeptAnswer.objects.get().encrypted_body.count("Keepers") == 0


def test_same_key_with_another_body_refused(admin):
    admin.post("groups", {"name": "Keepers"}, key="k-1")

    status, refused = admin.post("groups", {"name": "Others"}, key="k-1")

    assert (status, refused["code"]) == (422, "key_reused")


def test_key_of_another_person_is_another_key(admin):
    admin.post("groups", {"name": "Keepers"}, key="k-1")
    other = Program(holder_of(Role.GLOBAL_ADMINISTRATOR))

    assert other.post("groups", {"name": "Others"}, key="k-1")[0] == 201


def test_refusals_are_kept_too(admin):
    first = admin.post("groups", {"name": ""}, key="k-1")

    assert first == admin.post("groups", {"name": ""}, key="k-1")
    assert first[0] == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("requests", {"action": "admin_remove", "justification": "Moved on."}),
        ("tokens", {"name": "Reports", "scopes": ["audit"], "lifetime": "P1D"}),
    ],
)
def test_what_a_token_is_not_for_is_not_kept_for_the_right_one(path, body):
    person = holder_of(Role.GLOBAL_ADMINISTRATOR)
    weak, strong = Program(person, scopes="read"), Program(person)

    codes = [program.post(path, body, key="k-1")[1]["code"] for program in (weak, strong)]

    assert codes[0] == "scope_missing" != codes[1]


def test_key_of_a_request_that_still_runs_refused(admin, monkeypatch):
    monkeypatch.setattr("pim_site.answers.WAIT_SECONDS", 0)
    admin.post("groups", {"name": "Keepers"}, key="k-1")
    KeptAnswer.objects.update(status=None)

    status, refused = admin.post("groups", {"name": "Keepers"}, key="k-1")

    assert (status, refused["code"]) == (409, "still_running")


def test_key_of_a_request_that_failed_by_our_fault_is_given_back(admin, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("pim_site.api.principals.create_group", lambda **facts: 1 / 0)
        status, failed = admin.post("groups", {"name": "Keepers"}, key="k-1")

    assert (status, failed["code"], "division" in json.dumps(failed)) == (500, "server_error", False)
    assert failed["instance"] == f"urn:pim:request:{admin.headers['X-Request-ID']}"
    assert admin.post("groups", {"name": "Keepers"}, key="k-1")[0] == 201


@pytest.mark.parametrize("key", ["", "a" * 256, "schlüssel", "two words"])
def test_key_that_is_none_refused(admin, key):
    status, refused = admin.post("groups", {"name": "Keepers"}, key=key)

    assert (status, refused["code"]) == (400, "key_invalid")


# --- lengths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "text"), [(7200, "PT2H"), (90061, "P1DT1H1M1S"), (0, "PT0S"), (86400, "P1D")])
def test_lengths_are_spelled_as_iso_8601_does(seconds, text):
    assert spelled(timedelta(seconds=seconds)) == text


def test_unknown_object_is_not_found(admin):
    for kind in ("principals", "groups", "resources", "roles", "role_settings", "requests", "tokens"):
        assert admin.get(f"{kind}/{uuid.uuid4()}")[0] == 404
