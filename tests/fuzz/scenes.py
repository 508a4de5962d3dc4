"""What each operation is asked about where it can be done: by the name of the operation; a scene changes the case.

Operations without a scene are asked with what is there and what fields can mean; so is a new one, until it has its own.
"""

from contextlib import suppress

from tests.fuzz.stage import KEEPER, REASON, Refused, moment

SCENES = {}


def scene(*operations):
    def keep(function):
        SCENES.update(dict.fromkeys(operations, function))
        return function

    return keep


def about(case, key):
    case.path_parameters = {"id": key}


def said(case):
    return case.body if isinstance(case.body, dict) else {}


def say(case, **facts):
    case.body = said(case) | facts


def unsay(case, *names):
    if isinstance(case.body, dict):
        case.body = {name: value for name, value in case.body.items() if name not in names}


def edit(case, stage, path):
    """Name what was seen, one time by its tag and one time by "*"."""
    about(case, path.rpartition("/")[2])
    stage.ask(stage.persona, "GET", path)
    case.headers["If-Match"] = stage.choose.choice([stage.etag, "*"])


# --- who holds what ---------------------------------------------------------------------------------------------


@scene("access_check")
def check_of_oneself(case, stage):
    if stage.persona != KEEPER:
        case.query["principal"] = stage.me


@scene("access_check_many")
def checks_of_oneself(case, stage):
    rows = stage.mine("roles")["results"], stage.mine("resources")["results"]
    roles, scopes = ([row["id"] for row in kind] for kind in rows)
    one = {"principal": stage.me}
    questions = [
        one | {"role": stage.choose.choice(roles), "scope": stage.choose.choice(scopes)}
        for _each in said(case)["questions"]
    ]
    say(case, questions=questions)


@scene("access_of")
def access_of_oneself(case, stage):
    if stage.persona != KEEPER:
        about(case, stage.me)


# --- people, groups, places, roles ----------------------------------------------------------------------------


@scene("principals_partial_update")
def edit_person(case, stage):
    edit(case, stage, f"principals/{stage.person()}")


@scene("principals_disable")
def disable_person(case, stage):
    about(case, stage.person())


@scene("principals_enable")
def enable_person(case, stage):
    person = stage.person()
    stage.make(f"principals/{person}/disable", justification=REASON)
    about(case, person)


@scene("groups_partial_update")
def edit_group(case, stage):
    edit(case, stage, f"groups/{stage.group()}")


@scene("groups_destroy", "groups_govern")
def take_group(case, stage):
    about(case, stage.group())


@scene("resources_create")
def make_place(case, stage):
    say(case, kind=stage.choose.choice(["unit", "application", "other"]))


@scene("resources_partial_update")
def edit_place(case, stage):
    edit(case, stage, f"resources/{stage.place()}")
    unsay(case, "kind")


@scene("resources_destroy")
def take_place(case, stage):
    about(case, stage.place())


@scene("resources_move")
def move_place(case, stage):
    about(case, stage.place())
    say(case, parent=stage.place())


@scene("roles_create")
def make_role(case, stage):
    say(case, resource=stage.root, is_privileged=bool(said(case).get("permissions")), owns_resource=False)


@scene("roles_partial_update")
def edit_role(case, stage):
    edit(case, stage, f"roles/{stage.role()}")
    say(case, is_privileged=bool(said(case).get("permissions")), owns_resource=False)


@scene("roles_destroy")
def take_role(case, stage):
    about(case, stage.role())


def stages(stage):
    named = {"approvers": [stage.id_of("approver"), stage.id_of("second_approver")]}
    others = {"escalation_approvers": [stage.id_of("on_call")], "timeout": "P1D", "escalates_after": "PT45M"}
    return stage.choose.choice([[named], [{"asks_manager": True}], [named, named | others], [named | {"quorum": 2}]])


@scene("role_settings_create")
def make_settings(case, stage):
    say(case, role=stage.role(), scope=stage.place(), stages=stages(stage))


@scene("role_settings_partial_update")
def edit_settings(case, stage):
    edit(case, stage, f"role_settings/{stage.settings_of(stage.role())}")
    say(case, stages=stages(stage))


@scene("role_settings_destroy")
def take_settings(case, stage):
    made = stage.make("role_settings", role=stage.role(), scope=stage.place(), ticket_required=True)
    edit(case, stage, f"role_settings/{made['id']}")


# --- many at once, from CSV -------------------------------------------------------------------------------------


@scene("principals_import_rows")
def import_people(case, stage):
    name = stage.name().replace(" ", "-").lower()
    say(case, csv=f"username,name,email\n{name},{name},{name}@example.org\n")


@scene("groups_import_rows")
def import_groups(case, stage):
    say(case, csv=f"name\n{stage.name()}\n{stage.name()}\n")


@scene("eligible_assignments_import_rows", "active_assignments_import_rows")
def import_assignments(case, stage):
    role = stage.ask(KEEPER, "GET", f"roles/{stage.open_role}")["name"]
    scope = stage.ask(KEEPER, "GET", f"resources/{stage.place()}")["label"]
    holder = stage.username_of(stage.person())
    say(case, csv=f"role,resource,scope,user,ends_at\n{role},/,{scope},{holder},{moment(days=60)}\n")


# --- requests ---------------------------------------------------------------------------------------------------


def self_activate(stage, role=None):
    role = role or stage.choose.choice([stage.open_role, stage.guarded_role, stage.coded_role])
    body = {"eligible_assignment": stage.assigned(role=role), "duration": stage.choose.choice(["PT5M", "PT1H", "PT8H"])}
    return body | ({"code": stage.code()} if role == stage.coded_role else {})


def self_deactivate(stage):
    return {"active_assignment": stage.activated()}


def self_extend(stage):
    if stage.choose.random() < 0.3:  # more time for an activation that is about to end
        return {"active_assignment": stage.activated(duration="PT10M"), "duration": "PT1H"}
    kind = stage.choose.choice(["eligible", "active"])
    return {f"{kind}_assignment": stage.assigned(kind, days=stage.choose.randint(1, 13))}


def self_renew(stage):
    return {"eligible_assignment": stage.one_of(stage.run_out())}


def admin_assign(stage):
    kind = stage.choose.choice(["eligible", "active"])
    holder = stage.choose.choice([{"principal": stage.person()}, {"group": stage.group()}])
    return holder | {"type": kind, "role": stage.open_role, "scope": stage.place(), "ends_at": moment(days=60)}


def somebodys(stage, **ahead):
    kind = stage.choose.choice(["eligible", "active"])
    return {f"{kind}_assignment": stage.assigned(kind, "on_call", **ahead)}


def admin_update(stage):
    return somebodys(stage) | {"ends_at": moment(days=stage.choose.randint(10, 150))}


def admin_extend(stage):
    return somebodys(stage, days=5) | {"ends_at": moment(days=stage.choose.randint(10, 150))}


def admin_renew(stage):
    return {"eligible_assignment": stage.one_of(stage.run_out("on_call")), "ends_at": moment(days=60)}


def admin_remove(stage):
    if stage.choose.random() < 0.3:
        return {"active_assignment": stage.activated("on_call")}
    return somebodys(stage)


ASKED = {
    "requester": (self_activate, self_activate, self_deactivate, self_extend, self_renew),
    "approver": (self_activate, self_activate, self_deactivate, self_extend, self_renew),
    "global_admin": (admin_assign, admin_update, admin_extend, admin_renew, admin_remove, self_activate, self_extend),
}


@scene("requests_create")
def ask(case, stage):
    """An action that this person can ask for; what was said of why, and whether it is only looked at, stays."""
    action = stage.choose.choice(ASKED[stage.persona])
    kept = {name: said(case)[name] for name in ("justification", "validate_only") if name in said(case)}
    case.body = {"justification": REASON, **kept, "action": action.__name__, **action(stage)}


def each_activated(stage):
    return {"requests": [self_activate(stage, stage.open_role), self_activate(stage, stage.guarded_role)]}


def each_assigned(stage):
    shared = {"type": "eligible", "role": stage.open_role, "scope": stage.place(), "ends_at": moment(days=60)}
    return shared | {"requests": [{"principal": stage.person()}, {"group": stage.group()}]}


def each_extended(stage):
    return {"requests": [admin_extend(stage), admin_extend(stage)]}


def each_removed(stage):
    return {"requests": [admin_remove(stage), admin_remove(stage)]}


SEVERAL = {"self_activate": each_activated, "admin_assign": each_assigned}
SEVERAL |= {"admin_extend": each_extended, "admin_remove": each_removed}


@scene("requests_several")
def ask_several(case, stage):
    action = stage.choose.choice(list(SEVERAL) if stage.persona == KEEPER else ["self_activate"])
    case.body = {"justification": REASON, "action": action, **SEVERAL[action](stage)}


@scene("requests_cancel")
def cancel(case, stage):
    about(case, stage.waiting(stage.persona))


@scene("requests_approve", "requests_deny", "requests_claim")
def decide(case, stage):
    about(case, stage.waiting())
    if "duration" in said(case):
        say(case, duration=stage.choose.choice([None, "PT30M"]))


@scene("requests_release")
def release(case, stage):
    request = stage.waiting()
    stage.ask(stage.persona, "POST", f"requests/{request}/claim", {})
    about(case, request)


@scene("delegations_create")
def delegate(case, stage):
    say(
        case,
        delegate=stage.username_of(stage.person()),
        starts_at=None,
        ends_at=moment(days=stage.choose.randint(1, 80)),
    )


@scene("delegations_end")
def end_delegation(case, stage):
    terms = {"delegate": stage.username_of(stage.person()), "ends_at": moment(days=5), "justification": REASON}
    about(case, stage.ask(stage.persona, "POST", "delegations", terms)["id"])


@scene("requests_grant")
def grant(case, stage):
    about(case, stage.extending())
    unsay(case, "type")
    say(case, starts_at=None, ends_at=moment(days=stage.choose.randint(10, 90)))


@scene("approvals_create")
def decide_several(case, stage):
    say(case, requests=[stage.waiting() for _each in said(case)["requests"][:2]])


@scene("emergency_uses_create")
def take_in_emergency(case, stage):
    case.body = {"justification": REASON, "eligible_assignment": stage.assigned(role=stage.emergency_role)}


@scene("emergency_uses_review")
def review_emergency(case, stage):
    asked = {"justification": REASON, "eligible_assignment": stage.assigned(who="requester", role=stage.emergency_role)}
    about(case, stage.make("emergency_uses", "requester", **asked)["id"])


# --- what one keeps for oneself


@scene("favourites_create")
def keep(case, stage):
    say(case, eligible_assignment=stage.assigned())


@scene("favourites_destroy")
def forget(case, stage):
    kept = stage.ask(stage.persona, "POST", "favourites", {"eligible_assignment": stage.assigned()})
    about(case, kept["id"])


@scene("role_sets_create")
def keep_set(case, stage):
    say(case, eligible_assignments=[stage.assigned(), stage.assigned()])


@scene("role_sets_partial_update")
def edit_set(case, stage):
    edit(case, stage, f"role_sets/{stage.role_set()}")


@scene("role_sets_destroy")
def forget_set(case, stage):
    about(case, stage.role_set())


@scene("mail_preferences_partial_update")
def choose_mail(case, stage):
    stage.mine("mail_preferences")
    case.headers["If-Match"] = stage.choose.choice([stage.etag, "*"])


@scene("sessions_retrieve", "sessions_destroy")
def about_session(case, stage):
    about(case, stage.signed_in())


@scene("sessions_end")
def sign_out_everywhere(case, stage):
    """Seldom, as there is a code for half a minute, and signing in takes one."""
    if stage.choose.random() < 0.2:
        stage.signed_in()


# --- tokens -----------------------------------------------------------------------------------------------------


def a_token(stage):
    """The id of a token of the persona that nobody needs."""
    for row in stage.mine("tokens?open=true")["results"]:
        if not row["is_this"]:
            return row["id"]
    terms = {"name": stage.name(), "scopes": ["read"], "lifetime": "P1D"}
    return stage.ask(stage.persona, "POST", "tokens", terms | {"code": stage.code()})["id"]


@scene("tokens_create")
def make_token(case, stage):
    unsay(case, "principal")
    say(case, code=stage.code())


@scene("tokens_rotate")
def rotate_token(case, stage):
    about(case, a_token(stage))
    say(case, code=stage.code())


@scene("tokens_destroy")
def take_token(case, stage):
    about(case, a_token(stage))


# --- webhooks -----------------------------------------------------------------------------------------------------


@scene("hooks_partial_update")
def edit_hook(case, stage):
    edit(case, stage, f"hooks/{stage.hook()}")


@scene("hooks_disable", "hooks_renew_secret")
def take_hook(case, stage):
    about(case, stage.hook())


@scene("hooks_enable")
def enable_hook(case, stage):
    hook = stage.hook()
    stage.make(f"hooks/{hook}/disable", justification=REASON)
    about(case, hook)


@scene("hooks_test")
def test_hook(case, stage):
    hook = stage.hook()
    stage.make(f"hooks/{hook}/renew_secret")
    about(case, hook)


@scene("webhook_subscriptions_create")
def subscribe(case, stage):
    say(case, kinds=sorted(set(said(case)["kinds"])))


@scene("webhook_subscriptions_partial_update")
def edit_subscription(case, stage):
    edit(case, stage, f"webhook_subscriptions/{stage.subscription()}")


@scene("webhook_subscriptions_disable", "webhook_subscriptions_renew_secret")
def take_subscription(case, stage):
    about(case, stage.subscription())


@scene("webhook_subscriptions_enable")
def enable_subscription(case, stage):
    subscription = stage.subscription()
    stage.make(f"webhook_subscriptions/{subscription}/disable", justification=REASON)
    about(case, subscription)


@scene("webhook_deliveries_send_again")
def send_again(case, stage):
    about(case, stage.one_of(stage.rows("webhook_deliveries?state=delivered"))["id"])


# --- reviews ------------------------------------------------------------------------------------------------------


@scene("review_definitions_create", "review_definitions_apart")
def define(case, stage):
    answered = {"days": stage.choose.randint(1, 5), "reviewers": "named", "people": [stage.id_of("on_call")]}
    what = {"covers": "roles", "roles": [stage.role(), stage.role()], "groups": [], "scope": None, "stages": [answered]}
    unsay(case, "time_zone")
    say(case, **what)


@scene("review_definitions_partial_update")
def edit_series(case, stage):
    edit(case, stage, f"review_definitions/{stage.series('on_call')}")
    unsay(case, "covers", "roles", "groups", "scope", "stages", "time_zone")


@scene("review_definitions_start", "review_definitions_discontinue")
def take_series(case, stage):
    about(case, stage.series("on_call"))


def a_review(stage, state):
    rows = stage.mine(f"reviews?state={state}&page_size=200")["results"]
    return stage.one_of([row["id"] for row in rows])


def answered(stage):
    """The id of a review in which the persona has said no to something."""
    item = an_item(stage, waiting="true")
    no = {"verdict": "denied", "justification": REASON}
    stage.ask(stage.persona, "POST", f"review_items/{item['id']}/decide", no)
    return item["review"]


@scene("reviews_stop", "reviews_remind")
def run_review(case, stage):
    about(case, a_review(stage, "in_progress"))


@scene("reviews_clear")
def clear_review(case, stage):
    about(case, answered(stage))


@scene("reviews_progress", "reviews_results", "reviews_evidence")
def read_review(case, stage):
    about(case, a_review(stage, stage.choose.choice(["in_progress", "completed"])))


@scene("reviews_apply")
def apply_review(case, stage):
    review = answered(stage)
    stage.ask(stage.persona, "POST", f"reviews/{review}/stop", {"justification": REASON})
    about(case, review)


@scene("reviews_reassign")
def reassign(case, stage):
    review = a_review(stage, "in_progress")
    about(case, review)
    far = stage.mine(f"reviews/{review}/progress")["reviewers"]
    lagging = [each["reviewer"] for each in far if each["answered"] < each["asked"]]
    say(case, reviewer=stage.one_of(lagging), to=stage.id_of(stage.choose.choice(["on_call", "approver", "helpdesk"])))


def an_item(stage, **filters):
    query = "&".join(f"{name}={value}" for name, value in filters.items())
    return stage.one_of(stage.mine(f"review_items?{query}")["results"])


@scene("review_items_decide")
def answer(case, stage):
    about(case, an_item(stage, waiting="true")["id"])


@scene("review_items_undo")
def take_back(case, stage):
    item = an_item(stage, waiting="true")["id"]
    stage.ask(stage.persona, "POST", f"review_items/{item}/decide", {"verdict": "approved", "justification": REASON})
    about(case, item)


@scene("review_decisions_create")
def answer_several(case, stage):
    item = an_item(stage, waiting="true")
    say(case, review=item["review"], items=[item["id"]])


# --- alerts -------------------------------------------------------------------------------------------------------


@scene("alerts_partial_update")
def edit_alert(case, stage):
    alert = stage.one_of(stage.rows("alerts"))
    edit(case, stage, f"alerts/{alert['id']}")
    limits = {each["name"]: stage.choose.randint(each["low"], each["high"]) for each in alert["thresholds"]}
    say(case, thresholds=limits, is_enabled=True)


@scene("incidents_dismiss")
def dismiss(case, stage):
    about(case, stage.one_of(stage.rows("incidents?state=active"))["id"])


@scene("incidents_reopen")
def reopen(case, stage):
    rows = stage.rows("incidents?state=dismissed")
    if not rows:
        incident = stage.one_of(stage.rows("incidents?state=active"))["id"]
        rows = [stage.make(f"incidents/{incident}/dismiss", until=moment(days=5), justification=REASON)]
    about(case, rows[0]["id"])


@scene("incidents_repair")
def repair(case, stage):
    about(case, stage.one_of([row for row in stage.rows("incidents?state=active") if row["repair"]])["id"])


# --- lists --------------------------------------------------------------------------------------------------------


def turn_the_page(case, stage):
    """Go on behind the first row, in the order and with the filters that were made up."""
    with suppress(Refused, TypeError):
        page = stage.session.get(
            stage.address + case.path.removeprefix("/api/v1/"),
            params={**case.query, "page_size": 1},
            headers={"Authorization": f"Bearer {stage.people[stage.persona]['token']}"},
            timeout=30,
        ).json()
        if page.get("next"):
            case.query["cursor"] = page["next"].partition("cursor=")[2].partition("&")[0].replace("%3D", "=")
