"""The list of audit actions in the documentation is the list of those in the code."""

import ast
import re
from collections import Counter
from pathlib import Path

import alerts.services  # noqa: F401
import approvals.services  # noqa: F401
import pim_site.ascode.services
import pim_site.imports.services
import pim_site.services  # noqa: F401
import webhooks.services  # noqa: F401 (with those beneath them, they fill the registry)
from approvals.history import ACTIONS, SUBJECTS
from approvals.models import Decision
from assignments.services.activation import END_ACTIONS
from audit.services import OPERATIONS
from audit.stated import SETTINGS, STATED

ROOT = Path(__file__).parents[1]
OUR_APPS = (
    "accounts",
    "roles",
    "assignments",
    "approvals",
    "reviews",
    "alerts",
    "notifications",
    "audit",
    "webhooks",
    "pim_site",
)
RECORDERS = {"record", "record_about", "record_incident", "_record", "_record_end", "privileged"}
# Where the first argument of such a call is no literal: what it can be.
ELSEWHERE: set[str] = set()  # passed on, from a call that is looked at itself
NOT_LITERAL = {
    ("alerts/services/recording.py", "action"): ELSEWHERE,
    ("assignments/services/assigning.py", "f'{noun}.assigned'"): {"eligible.assigned", "active.assigned"},
    ("assignments/services/assigning.py", "action"): ELSEWHERE,
    ("assignments/services/activation.py", "action"): {*END_ACTIONS.values(), "assignment.removed"},
    ("approvals/services/deciding.py", "f'request.{decision.verdict}'"): {
        f"request.{verdict}" for verdict in Decision.Verdict
    },
    ("approvals/services/recording.py", "action"): ELSEWHERE,
    ("approvals/services/extending.py", "f'{verb}.requested'"): {"extension.requested", "renewal.requested"},
    ("assignments/services/changing.py", "action"): {"assignment.updated", "assignment.extended"},
    ("reviews/services/answering.py", "action"): ELSEWHERE,
    ("roles/services/delegating.py", "action"): ELSEWHERE,
    ("audit/services.py", "action"): ELSEWHERE,
}


def calls():
    """File and first argument of each call that names an action."""
    for path in (path for app in OUR_APPS for path in (ROOT / app).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = getattr(getattr(node, "func", None), "id", None)
            if isinstance(node, ast.Call) and name in RECORDERS and node.args:
                yield str(path.relative_to(ROOT)), node.args[0]


def actions_in_code():
    actions = {*SETTINGS, *(stated.restated for stated in STATED.values())}
    for path, argument in calls():
        literal = isinstance(argument, ast.Constant)
        actions |= {argument.value} if literal else NOT_LITERAL[path, ast.unparse(argument)]
    return actions


def actions_in_documentation():
    return re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/audit-actions.md").read_text(), re.MULTILINE)


def test_actions_are_documented_and_documented_actions_exist():
    assert set(actions_in_documentation()) == actions_in_code()


def test_actions_are_documented_once_and_in_order():
    documented = actions_in_documentation()
    assert documented == sorted(documented)
    assert max(Counter(documented).values()) == 1


def test_actions_are_a_noun_and_a_past_participle():
    pattern = re.compile(r"[a-z]+(_[a-z]+)*\.([a-z]+ed|proved|timed_out)")
    assert [action for action in actions_in_code() if not pattern.fullmatch(action)] == []


def test_every_exception_in_this_file_is_still_there():
    found = {(path, ast.unparse(argument)) for path, argument in calls() if not isinstance(argument, ast.Constant)}
    assert found == set(NOT_LITERAL)


def test_operations_record_under_a_documented_action():
    assert set(OPERATIONS) <= set(actions_in_documentation())


def test_every_action_has_words_for_those_who_look_at_their_history():
    assert actions_in_code() <= set(ACTIONS)


def test_every_action_is_about_one_subject():
    nouns = sorted(noun for nouns in SUBJECTS.values() for noun in nouns)
    assert nouns == sorted({action.partition(".")[0] for action in ACTIONS})
