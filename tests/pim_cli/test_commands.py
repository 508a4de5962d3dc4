"""The command line: where its token comes from, what it sends, and how it ends. The whole way is in the journeys."""

import io
import json

import pytest

from pim_cli.__main__ import main
from pim_cli.credentials import Credentials, load, path, save
from pim_cli.errors import Failure
from pim_cli.lengths import iso_of
from tests.listener import listening

PERSON = {"principal": {"id": "me", "display_name": "Rita Berg"}}


@pytest.fixture(autouse=True)
def _home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("PIM_URL", "PIM_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server(monkeypatch):
    with listening() as listener:
        url = f"http://127.0.0.1:{listener.port}"
        monkeypatch.setenv("PIM_URL", url)
        monkeypatch.setenv("PIM_TOKEN", "pim_secret")
        listener.then(200, json.dumps(PERSON).encode())
        yield listener


@pytest.mark.parametrize(
    ("typed", "iso"), [("2h", "PT2H"), ("45m", "PT45M"), ("1h30m", "PT1H30M"), ("1d", "P1D"), ("1d12h", "P1DT12H")]
)
def test_length_as_the_api_writes_it(typed, iso):
    assert iso_of(typed) == iso


@pytest.mark.parametrize("typed", ["", "2", "h", "2x", "-2h", "PT2H", "1m1h"])
def test_length_that_is_none_is_a_wrong_command(typed, capsys):
    with pytest.raises(SystemExit) as end:
        main(["activate", "Role", f"--for={typed}"])
    assert end.value.code == 2


def test_token_is_kept_for_its_owner_alone(server, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("pim_given\n"))
    url = f"http://127.0.0.1:{server.port}"

    assert main(["login", "--url", url + "/", "--token-stdin"]) == 0

    assert path().stat().st_mode & 0o777 == 0o600
    monkeypatch.delenv("PIM_URL")
    monkeypatch.delenv("PIM_TOKEN")
    assert load() == Credentials(url, "pim_given")
    assert server.asked[0][1]["Authorization"] == "Bearer pim_given"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_file_that_others_can_read_is_refused(mode, capsys):
    save(Credentials("https://pim.example.org", "pim_secret")).chmod(mode)

    assert main(["list"]) == 4
    assert "Others can read" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["http://pim.example.org", "ftp://pim.example.org", "pim.example.org"])
def test_token_is_not_sent_in_the_clear(monkeypatch, url):
    monkeypatch.setenv("PIM_URL", url)
    monkeypatch.setenv("PIM_TOKEN", "pim_secret")

    with pytest.raises(Failure) as failure:
        load()
    assert failure.value.status == 4


def test_without_a_token_nothing_is_asked(server, monkeypatch):
    monkeypatch.delenv("PIM_TOKEN")

    assert (main(["list"]), server.asked) == (4, [])


REFUSAL = {"code": "not_eligible", "detail": "You are not eligible."}


@pytest.mark.parametrize(
    ("status", "body", "ends"),
    [
        (422, json.dumps(REFUSAL).encode(), 3),
        (401, json.dumps({"code": "token_invalid", "detail": "Send a valid token."}).encode(), 4),
        (500, b"<html>", 5),
        (302, b"{}", 5),
        (200, b"no JSON", 5),
    ],
)
def test_exit_code_says_what_went_wrong(server, capsys, status, body, ends):
    server.then(status, body)

    assert main(["list", "--json"]) == ends
    said = capsys.readouterr()
    assert json.loads(said.out).keys() == {"code", "detail"}
    assert said.err.startswith("pim: ")


def test_token_does_not_follow_a_page_elsewhere(server):
    elsewhere = {"results": [], "next": "http://127.0.0.1:1/api/v1/groups"}
    mine = PERSON | {"holds": []}
    server.answers = [(200, json.dumps(page).encode(), {}) for page in (mine, mine, elsewhere)]

    assert main(["list"]) == 5
    assert [path.partition("?")[0] for path, _headers, _body in server.asked] == [
        "/api/v1/access/mine",
        "/api/v1/access/mine",
        "/api/v1/groups",
    ]


def test_netrc_does_not_take_the_place_of_the_token(server, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login other password word\n")
    server.then(500)
    main(["list"])

    assert server.asked[0][1]["Authorization"] == "Bearer pim_secret"


EXTENSION = {
    "id": "r1",
    "reference": "R-1",
    "status": "pending_admin_decision",
    "duration": None,
    "justification": "More.",
    "principal": PERSON["principal"],
    "role": {"name": "Operator"},
    "scope": {"label": "/"},
}
WAITING = {"results": [EXTENSION], "next": None}


def test_extension_is_granted_until_the_end_that_is_said(server):
    server.answers = [(200, json.dumps(body).encode(), {}) for body in (WAITING, EXTENSION)]

    assert main(["approve", "R-1", "--reason", "Agreed", "--until", "2027-01-31T18:00:00Z"]) == 0

    path, _headers, body = server.asked[1]
    assert path == "/api/v1/requests/r1/grant"
    assert json.loads(body) == {"justification": "Agreed", "ends_at": "2027-01-31T18:00:00Z"}


def test_extension_without_an_end_is_not_sent(server, capsys):
    server.then(200, json.dumps(WAITING).encode())

    assert (main(["approve", "R-1", "--reason", "Agreed"]), len(server.asked)) == (3, 1)
    assert "--until" in capsys.readouterr().err


def test_decision_looked_at_beforehand_is_asked_of_the_site(server, capsys):
    denied = EXTENSION | {"status": "denied"}
    server.answers = [(200, json.dumps(body).encode(), {}) for body in (WAITING, denied)]

    assert main(["approve", "R-1", "--reason", "No", "--deny", "--dry-run"]) == 0

    path, _headers, body = server.asked[1]
    assert (path, json.loads(body)) == ("/api/v1/requests/r1/deny", {"justification": "No", "validate_only": True})
    assert "denied. Nothing was done." in capsys.readouterr().out


def test_waiting_goes_on_where_the_site_gives_no_answer_once(server, monkeypatch):
    monkeypatch.setattr("pim_cli.acts.EVERY", 0)
    row = {"id": "e1", "principal": "me", "group": None, "role": {"name": "Operator"}, "scope": {"label": "/"}}
    asked = EXTENSION | {"status": "pending_approval"}
    pages = (PERSON, {"results": [], "next": None}, {"results": [row], "next": None}, asked)
    server.answers = [(200, json.dumps(body).encode(), {}) for body in pages]
    server.answers += [(503, b"", {}), (200, json.dumps(asked | {"status": "provisioned"}).encode(), {})]

    assert main(["activate", "Operator", "--for", "1h", "--reason", "Stuck", "--wait"]) == 0


def eligible(number):
    return {
        "id": f"e{number}",
        "principal": "me",
        "group": None,
        "role": {"name": f"R{number}"},
        "scope": {"label": "/"},
    }


def pages_to(*rows):
    """What is asked to find one's own assignments."""
    return [PERSON, {"results": [], "next": None}, {"results": list(rows), "next": None}]


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ({"request": "r2", "status": 201, "code": "", "detail": "", "state": "pending_approval"}, 6),
        ({"request": None, "status": 409, "code": "already_active", "detail": "It is.", "state": ""}, 3),
    ],
)
def test_several_roles_are_asked_for_with_one_code_and_said_each(server, capsys, result, status):
    rows = eligible(1), eligible(2)
    done = {"request": "r1", "status": 201, "code": "", "detail": "", "state": "active"}
    requests = [EXTENSION | {"id": "r1", "status": "provisioned"}, EXTENSION | {"status": "pending_approval"}]
    bodies = [*pages_to(*rows), *pages_to(*rows), {"results": [done, result]}, *requests]
    server.answers = [(200, json.dumps(body).encode(), {}) for body in bodies]

    assert main(["activate", "R1", "R2", "--for", "1h", "--reason", "Stuck", "--code", "123456"]) == status

    path, _headers, body = server.asked[6]
    each = {"duration": "PT1H", "ticket": "", "ticket_system": ""}
    assert (path, json.loads(body)) == (
        "/api/v1/requests/several",
        {
            "action": "self_activate",
            "justification": "Stuck",
            "code": "123456",
            "requests": [{"eligible_assignment": name, **each} for name in ("e1", "e2")],
        },
    )
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "R1  / is active: R-1"
    assert said[1] in ("R2  / waits for a decision: R-1", "R2  / was refused: It is. [already_active]")


def test_activation_is_kept_for_longer(server, capsys):
    active = eligible(1) | {"id": "a1"}
    answers = [*pages_to(active), EXTENSION | {"status": "provisioned"}]
    server.answers = [(200, json.dumps(body).encode(), {}) for body in answers]

    assert main(["extend", "R1", "--for", "30m", "--reason", "Still stuck"]) == 0

    path, _headers, body = server.asked[3]
    sent = {"action": "self_extend", "active_assignment": "a1", "justification": "Still stuck"}
    assert (path, json.loads(body)) == (
        "/api/v1/requests",
        sent | {"duration": "PT30M", "ticket": "", "ticket_system": ""},
    )
    assert "activated=true" in server.asked[2][0]
    assert capsys.readouterr().out == "R1  / goes on: R-1\n"


def answered(server, *bodies):
    server.answers = [(200, json.dumps(body).encode(), {}) for body in bodies]


def sent(server):
    return [(path, json.loads(body) if body else None) for path, _headers, body in server.asked]


ELIGIBLE = {"id": "e1", "principal": "me", "group": None, "role": {"name": "Operator"}, "scope": {"label": "/"}}
USE = {"duration": "PT1H", "review_by": "2027-01-31T18:00:00Z"}


@pytest.mark.parametrize(("options", "more"), [(["--code", "123456"], {"code": "123456"}), (["--dry-run"], {})])
def test_emergency_is_asked_for_with_its_reason(server, capsys, options, more):
    none = {"results": [], "next": None}
    answered(server, PERSON, none, {"results": [ELIGIBLE], "next": None}, USE)

    assert main(["emergency", "Operator", "--reason", "Payments are down", *options]) == 0

    path, body = sent(server)[-1]
    looked = {} if more else {"validate_only": True}
    asked = {"eligible_assignment": "e1", "justification": "Payments are down", "drill": False}
    assert (path, body) == ("/api/v1/emergency_uses", asked | more | looked)
    assert ("could be had" in capsys.readouterr().out) == bool(looked)


LENT = {
    "id": 7,
    "delegator": PERSON["principal"],
    "delegate": {"id": "other", "display_name": "Dina Deputy"},
    "starts_at": "2027-01-24T08:00:00Z",
    "ends_at": "2027-01-31T18:00:00Z",
    "state": "active",
}


def test_decisions_are_delegated_and_the_delegation_ended(server):
    answered(server, LENT, LENT | {"state": "ended"})

    until = "2027-01-31T18:00:00Z"
    assert main(["delegate", "dina", "--until", until]) == main(["delegate", "--end", "7", "--reason", "Back"]) == 0

    made = {"delegate": "dina", "ends_at": until, "justification": ""}
    assert sent(server) == [
        ("/api/v1/delegations", made),
        ("/api/v1/delegations/7/end", {"justification": "Back"}),
    ]


def test_delegations_of_oneself_are_listed_from_ones_own_side(server, capsys):
    page, none = {"results": [LENT], "next": None}, {"results": [], "next": None}
    received = LENT | {"id": 8, "delegator": LENT["delegate"], "delegate": LENT["delegator"]}
    answered(server, PERSON, page, none, page | {"results": [received]}, none)

    assert main(["delegate"]) == 0

    said = [line.split("  ")[:2] for line in capsys.readouterr().out.splitlines()]
    assert said == [["7", "Dina Deputy decides for you"], ["8", "you decide for Dina Deputy"]]


def test_delegation_without_an_end_is_not_asked_for(server, capsys):
    assert (main(["delegate", "dina", "--json"]), server.asked) == (3, [])
    assert json.loads(capsys.readouterr().out)["code"] == "end_required"
