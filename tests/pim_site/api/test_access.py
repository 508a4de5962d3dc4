"""The access check and its neighbours over HTTP: tokens, bounds, refusals."""

import json
import uuid
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.utils.timezone import now

from accounts.models import ApiToken
from pim_site.middleware import HEADERS
from roles.models import Role
from roles.services import govern_group
from tests.api import Program
from tests.factories import (
    ActivationFactory,
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    RequestFactory,
    TokenFactory,
    UserFactory,
    holder_of,
)
from tests.statements import statements

pytestmark = pytest.mark.django_db
NO = {"active": False, "until": None, "via": None, "assignment": None}


def question(row, **differs):
    return {"principal": str(row.user_id), "role": str(row.role_id), "scope": str(row.scope_id), **differs}


def shown(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_check_of_oneself():
    row = ActivationFactory()
    program = Program(row.user)

    yes = {"active": True, "until": shown(row.ends_at), "via": "activation", "assignment": str(row.pk)}
    assert program.get("access/check", **question(row)) == (200, yes)
    assert program.get("access/check", **question(row, role=str(uuid.uuid4()))) == (200, NO)


def test_check_answers_no_from_the_second_of_the_end_without_a_worker(time_machine):
    row = ActivationFactory()
    program = Program(row.user)

    time_machine.move_to(row.ends_at, tick=False)

    assert program.get("access/check", **question(row)) == (200, NO)


def test_check_of_many():
    rows = ActiveFactory.create_batch(3)
    program = Program(holder_of(Role.SECURITY_READER))
    asked = [question(row) for row in rows] + [question(rows[0], principal=str(rows[1].user_id))]

    status, answer = program.post("access/check", {"questions": asked})

    assert (status, [each["active"] for each in answer["answers"]]) == (200, [True, True, True, False])


def test_check_about_others_without_the_right_is_not_found():
    status, refused = Program(UserFactory()).get("access/check", **question(ActiveFactory()))

    assert (status, refused["code"]) == (404, "not_found")


AGO = now() - timedelta(days=1)


@pytest.mark.parametrize(
    ("differs", "status", "code"),
    [
        ({"revoked_at": now()}, 401, "token_invalid"),
        ({"created_at": AGO, "expires_at": AGO + timedelta(hours=1)}, 401, "token_invalid"),
        ({"user__is_active": False}, 401, "token_invalid"),
        ({"networks": "192.0.2.0/24"}, 401, "address_refused"),
        ({"scopes": "activate"}, 403, "scope_missing"),
    ],
)
def test_check_with_a_token_that_does_not_count_refused(differs, status, code):
    token = TokenFactory(**differs)
    row = ActiveFactory(user=token.user)

    answer = Program(token=token.text).get("access/check", **question(row))

    assert (answer[0], answer[1]["code"]) == (status, code)


@pytest.mark.parametrize("token", ["", "pim_nonsense"])
def test_check_by_nobody_refused(token):
    program = Program(token=token)

    assert program.get("access/check", **question(ActiveFactory()))[0] == 401
    assert program.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "body",
    [
        " ",
        "[]",
        "{}",
        '{"questions": []}',
        '{"questions": [1]}',
        '{"questions": [{"principal": 1, "role": 2, "scope": 3}]}',
        '{"questions": [{}], "more": 1}',
        "[" * 100_000,
        json.dumps({"questions": [dict.fromkeys(("principal", "role", "scope"), str(uuid.UUID(int=0)))] * 501}),
    ],
)
@pytest.mark.once
def test_check_of_what_is_no_question_refused(body):
    program = Program(UserFactory())

    answer = program.client.post("/api/v1/access/check", body, "application/json")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.once
def test_check_with_another_parameter_refused():
    row = ActiveFactory()

    program = Program(row.user)
    status, refused = program.get("access/check", **question(row, at="2020-01-01"))

    assert (status, refused["code"]) == (400, "unknown_parameter")
    assert refused["instance"] == f"urn:pim:request:{program.headers['X-Request-ID']}"


def many(*differs):
    asked = dict.fromkeys(("principal", "role", "scope"), str(uuid.UUID(int=1)))
    return json.dumps({"questions": [asked | each for each in differs]})


@pytest.mark.once
@pytest.mark.parametrize(
    ("address", "body", "media_type", "refusal"),
    [
        ("", many({}, {"role": "x"}), "application/json", (400, "invalid", ["questions.1"])),
        ("", many({}, {"at": "x"}), "application/json", (400, "unknown_parameter", ["questions.1.at"])),
        ("?at=1", many({}), "application/json", (400, "unknown_parameter", ["at"])),
        ("", many({}), "text/plain", (415, "unsupported_media_type", [])),
        ("", " " * 2_700_000, "application/json", (413, "too_large", [])),
    ],
)
def test_check_of_many_refused_as_everywhere(address, body, media_type, refusal):
    answer = Program(UserFactory()).client.post(f"/api/v1/access/check{address}", body, media_type)

    problem = answer.json()
    said = answer.status_code, problem["code"], [each["field"] for each in problem.get("errors", [])]
    assert said == refusal


@pytest.mark.once
def test_check_with_a_parameter_that_is_there_twice_refused():
    row = ActiveFactory()
    twice = [*question(row).items(), ("principal", str(uuid.uuid4()))]

    status, refused = Program(row.user).get(f"access/check?{urlencode(twice)}")

    assert (status, refused["code"], refused["errors"][0]["field"]) == (400, "parameter_repeated", "principal")


@pytest.mark.once
@pytest.mark.parametrize("method", ["PUT", "OPTIONS"])
@pytest.mark.parametrize(
    ("path", "allowed"), [("access/check", "GET, POST"), ("schema", "GET, HEAD"), ("tokens", "GET, HEAD, POST")]
)
def test_method_that_is_not_allowed_is_a_problem_that_says_which_are(method, path, allowed):
    program = Program(UserFactory())

    status, refused = program.send(method, path, {})

    assert (status, refused["code"], program.headers["Allow"]) == (405, "method_not_allowed", allowed)


@pytest.mark.once
def test_check_looks_at_no_session_and_answers_with_the_headers_of_all():
    row = ActiveFactory()
    program = Program(row.user)
    program.client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    same = {"Content-Security-Policy", *HEADERS, "X-Content-Type-Options", "Referrer-Policy"}

    with statements() as run:
        answer = program.get("access/check", **question(row))
    headers = dict(program.headers)
    program.get("me")

    assert (answer[0], len(run)) == (200, 2)  # one answers, one notes that the token was used
    assert headers.keys() >= same | {"X-Request-ID", "Content-Length"}
    assert {name: headers[name] for name in same} == {name: program.headers[name] for name in same}


def test_check_is_one_statement_and_notes_the_use_once_a_minute():
    row = ActiveFactory()
    program = Program(token=TokenFactory(user=row.user, last_used_at=now() - timedelta(seconds=61)).text)
    Program(token=TokenFactory().text).get("access/check", **question(row))  # the connection learns it

    with statements() as first:
        program.get("access/check", **question(row))
    with statements() as second:
        program.get("access/check", **question(row))

    assert (len(first), len(second)) == (2, 1)
    assert ApiToken.objects.get(user=row.user).last_address == "127.0.0.1"


@pytest.mark.once
def test_mine_says_what_is_in_force_and_why():
    row = ActivationFactory()
    RequestFactory(
        eligible_assignment=row.eligible_assignment, active_assignment=row, status="provisioned", justification="Stuck."
    )
    ActiveFactory(user=row.user, ends_at=now() - timedelta(seconds=1))

    status, answer = Program(row.user).get("access/mine")

    assert (status, answer["principal"]["username"]) == (200, row.user.username)
    assert [(each["assignment"], each["via"], each["justification"]) for each in answer["holds"]] == [
        (str(row.pk), "activation", "Stuck.")
    ]


@pytest.mark.once
def test_of_another_is_for_who_sees_everybodys():
    row = ActiveFactory()
    reader, stranger = Program(holder_of(Role.SECURITY_READER)), Program(UserFactory())

    assert [each["assignment"] for each in reader.get(f"access/of/{row.user.pk}")[1]["holds"]] == [str(row.pk)]
    assert stranger.get(f"access/of/{row.user.pk}")[0] == 404
    assert stranger.get(f"access/of/{stranger.get('access/mine')[1]['principal']['id']}")[0] == 200


def test_mine_ends_with_the_membership_that_carries_it():
    user, group = UserFactory(), GroupFactory()
    govern_group(group=group, actor=None)
    member = Role.objects.get(resource__group=group, group_part=Role.GroupPart.MEMBER)
    membership = ActivationFactory(eligible_assignment=EligibleFactory(user=user, role=member))
    held = ActiveFactory(user=None, group=group)
    program = Program(user)

    _status, mine = program.get("access/mine")

    (through,) = [each for each in mine["holds"] if each["assignment"] == str(held.pk)]
    check = program.get("access/check", **question(held, principal=str(user.pk)))[1]
    assert (through["via"], through["until"], check["until"]) == ("group", *[shown(membership.ends_at)] * 2)
