"""docs/refusals.md lists the codes that the sources name, and no others."""

import ast
import re
from pathlib import Path

from approvals.history import CAUSES

ROOT = Path(__file__).parents[1]
ROOMS = ("accounts", "alerts", "approvals", "assignments", "reviews", "roles", "webhooks", "pim_site/api")
# Said to people at a form, or by the framework, or only within.
OF_PAGES = {"password_mismatch"}
OF_THE_FRAMEWORK = {"parse_error", "not_authenticated", "permission_denied"}
# audit/services, pim_site/views and answers; pim_site/ascode and notifications.
ELSEWHERE = {
    "forbidden",
    "server_error",
    "unavailable",
    "key_reused",
    "still_running",
    "file_refused",
    "not_failed",
    "text_invalid",
}
WITHIN = {"replayed"}
SECOND = {"Refused", "PermissionDenied", "ErrorDetail", "problem_response"}  # they take the code as a later argument
CODE = re.compile(r"[a-z]+(_[a-z]+)*")


def named_in(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            named = [each.value for each in node.keywords if each.arg == "code"]
            later = node.args[1:3] if getattr(node.func, "id", getattr(node.func, "attr", "")) in SECOND else []
        elif isinstance(node, ast.Assign) and [getattr(each, "id", "") for each in node.targets] == ["code"]:
            named, later = [node.value], []
        else:
            continue
        for value in (*named, *later):
            if isinstance(value, ast.Constant) and isinstance(value.value, str) and CODE.fullmatch(value.value):
                yield value.value


def listed(beginning_with=""):
    page = (ROOT / "docs" / "refusals.md").read_text()
    for line in page[page.index(beginning_with) :].splitlines():
        codes, _bar, _rest = line.removeprefix("| ").partition(" | ")
        if line.startswith("| `"):
            yield from re.findall(r"`(\w+)`", codes)


def test_page_of_refusals_lists_each_code_once_and_no_other():
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    named = {code for path in files for code in named_in(path)}
    everything = named - OF_PAGES - WITHIN | OF_THE_FRAMEWORK | ELSEWHERE

    assert sorted(listed()) == sorted(everything)


def test_history_has_words_for_each_refusal_of_an_operation():
    assert sorted(set(listed("## Who asks")) - set(CAUSES)) == []
