"""The command line: where its token comes from, what it sends, and how it ends. The whole way is in the journeys."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pim_cli.__main__ import main
from pim_cli.credentials import Credentials, load, path, save
from pim_cli.errors import Failure
from pim_cli.lengths import iso_of
from tests.demo import free_port
from tests.listener import listening

ROOT = Path(__file__).parents[2]
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


@pytest.mark.parametrize(
    "url", ["https://[::1", "https://pim.example.org:99999", "https://pim.example.org:x", "https:///api", ""]
)
def test_address_that_is_none_is_asked_for(monkeypatch, capsys, url):
    monkeypatch.setenv("PIM_URL", url)
    monkeypatch.setenv("PIM_TOKEN", "pim_secret")

    assert main(["list"]) == 4
    assert "Say where PIM is" in capsys.readouterr().err


@pytest.mark.parametrize("end", ["", "/", "/api/v1", "/api/v1/"])
def test_address_of_the_api_is_that_of_its_site(server, monkeypatch, end):
    monkeypatch.setenv("PIM_URL", f"http://127.0.0.1:{server.port}{end}")

    main(["list"])

    assert server.asked[0][0] == "/api/v1/access/mine"


@pytest.mark.parametrize("token", ["pim_a b", "pim_✓", "pim_a\nX-Other: b"])
def test_token_that_fits_into_no_header_is_not_sent(server, monkeypatch, capsys, token):
    monkeypatch.setenv("PIM_TOKEN", token)

    assert (main(["list"]), server.asked) == (4, [])
    assert "This is no token" in capsys.readouterr().err


@pytest.mark.parametrize("kept", [b"[1]", b'{"url": 5, "token": 7}', b"x", b"\xff", None])
def test_file_that_says_nothing_is_to_be_written_anew(capsys, kept):
    place = save(Credentials("https://pim.example.org", "pim_secret"))
    if kept is None:
        place.unlink()
        place.mkdir()
    else:
        place.write_bytes(kept)

    assert main(["list"]) == 4
    assert f"{place} cannot be read. Sign in again" in capsys.readouterr().err


def test_token_that_cannot_be_kept_is_said(server, monkeypatch, capsys, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("sys.stdin", io.StringIO("pim_given\n"))

    assert main(["login", "--url", f"http://127.0.0.1:{server.port}", "--token-stdin"]) == 4
    assert "cannot be kept" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"), [([], "pipe it in, with --token-stdin"), (["--token-stdin"], "This is no token")]
)
def test_login_without_anything_to_read_asks_nothing(server, monkeypatch, capsys, options, said):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    assert (main(["login", "--url", f"http://127.0.0.1:{server.port}", *options]), server.asked) == (4, [])
    assert said in capsys.readouterr().err


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


@pytest.mark.parametrize(("status", "is_ours"), [(502, True), (200, False), (302, False), (404, False)])
def test_answer_of_something_else_is_said_to_be_that(server, capsys, status, is_ours):
    server.then(status, b"<html>")

    assert main(["list"]) == 5
    said = capsys.readouterr().err
    assert f"answered HTTP {status}." in said
    assert ("This is not the API of PIM." in said) is not is_ours


def test_address_where_nothing_answers_is_said(monkeypatch, capsys):
    monkeypatch.setenv("PIM_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("PIM_TOKEN", "pim_secret")

    assert main(["list"]) == 5
    assert "nothing answers there" in capsys.readouterr().err


def test_plain_http_behind_an_https_address_is_said(server, monkeypatch, capsys):
    monkeypatch.setenv("PIM_URL", f"https://127.0.0.1:{server.port}")

    assert main(["list"]) == 5
    assert "does not speak TLS" in capsys.readouterr().err


def test_mistake_of_our_own_never_says_that_a_role_is_not_held(server, capsys):
    server.then(200, b'{"results": [{}], "next": null}')

    assert main(["check", "Operator"]) == 5
    assert "KeyError" in capsys.readouterr().err


def test_reader_who_has_read_enough_changes_no_exit_code(server, tmp_path):
    server.then(200, json.dumps(PERSON | {"holds": [], "results": [], "next": None}).encode())
    reads, writes = os.pipe()
    os.close(reads)

    with os.fdopen(writes, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "pim_cli", "list"], cwd=ROOT, stdout=closed, stderr=subprocess.PIPE, check=False
        )

    assert (done.returncode, done.stderr) == (0, b"")


NOBODYS = {"results": [], "next": None}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["activate", "Operator", "--for", "1h"], "You can activate nothing called “Operator” now."),
        (["activate", "Operator", "--for", "1h", "--at", "/IT/"], "nothing called “Operator” at “/IT” now."),
        (["end", "Operator"], "You have activated nothing called “Operator”."),
        (["approve", "R-1", "--reason", "x"], "No request “R-1” waits for you."),
        (["check", "Operator"], "There is no role “Operator”, or none that you may see."),
        (["check", "Operator", "--at", "/IT"], "There is no resource “/IT”, or none that you may see."),
    ],
)
def test_name_of_nothing_is_said_with_where_to_look(server, capsys, command, said):
    server.then(200, json.dumps(PERSON | NOBODYS).encode())

    assert main(command) == 3
    assert said in capsys.readouterr().err


def test_name_that_could_be_several_is_told_apart_by_place_or_id(server, capsys):
    rows = [
        {"id": f"{place}-id", "principal": "me", "group": None, "role": {"name": "Operator"}, "scope": scope}
        for place, scope in (("it", {"id": "s1", "label": "/IT"}), ("ledger", {"id": "s2", "label": "/Ledger"}))
    ]
    request = {"status": "provisioned", "reference": "R-1"}
    server.then(200, json.dumps(PERSON | request | {"results": rows, "next": None}).encode())

    assert main(["activate", "Operator", "--for", "1h"]) == 3
    assert "  it-id  /IT\n  ledger-id  /Ledger\n" in capsys.readouterr().err.replace(" [ambiguous]", "")
    for one in (["Operator", "--at", "/Ledger/"], ["Operator", "--at", "s2"], ["ledger-id"]):
        assert main(["activate", *one, "--for", "1h"]) == 0
        assert json.loads(server.asked[-1][2])["eligible_assignment"] == "ledger-id"


def test_code_that_nobody_is_there_to_type_is_named_as_an_option(server, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    row = {
        "id": "e1",
        "principal": "me",
        "group": None,
        "role": {"name": "Operator"},
        "scope": {"id": "s", "label": "/"},
    }
    page, groups = {"results": [row], "next": None}, {"results": [], "next": None}
    refusal = {"code": "mfa_required", "detail": "Enter the code."}
    answers = [(200, PERSON), (200, groups), (200, page), (403, refusal)]
    server.answers = [(status, json.dumps(body).encode(), {}) for status, body in answers]

    assert main(["activate", "Operator", "--for", "1h"]) == 3
    assert capsys.readouterr().err == "pim: Enter the code. Say it with --code. [mfa_required]\n"


def test_place_is_looked_up_before_the_role_that_is_used_there(server):
    key = "6d1e0c5b-8f0a-4b0e-9d0b-5f9d2f3a7c11"
    role = {"id": "r1", "resource": {"id": "s1", "label": "/IT"}}
    place, held = {"id": key, "label": "/IT/Tills"}, {"active": False}
    bodies = (place, {"results": [role], "next": None}, PERSON, held)
    server.answers = [(200, json.dumps(body).encode(), {}) for body in bodies]

    assert main(["check", "Operator", "--at", key]) == 1
    assert server.asked[-1][0] == f"/api/v1/access/check?principal=me&role=r1&scope={key}"


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
