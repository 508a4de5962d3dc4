"""What people type is shown as they typed it, on every page and in every mail, and is never markup."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.db.models import CharField, Value
from django.db.models.functions import Concat
from django.test import Client

from accounts.models import Group, TotpDevice, User
from approvals import services
from approvals.models import Request
from notifications.mail import render
from notifications.models import Message
from reviews.models import Item
from reviews.series import Definition
from roles.models import Resource, Role, RoleSettings
from tests.factories import EligibleFactory, GroupFactory, ResourceFactory, RoleFactory, UserFactory, holder_of
from tests.reviews.making import begun, series
from tests.test_matrix import Cast, address, cases, cast, kind_of, undone
from webhooks.models import Subscription

assert cast  # the fixture: its people and objects, one of each kind
pytestmark = [pytest.mark.django_db, pytest.mark.once, pytest.mark.xdist_group("matrix")]

MARKUP = "\"'><pim-x onload=alert(1)>{{ 7|add:7 }}"
RAW, ESCAPED = b"<pim-x", b"&lt;pim-x"
TYPED = {
    User: ["display_name"],
    Group: ["name", "description"],
    Resource: ["name", "label", "description"],
    Role: ["name", "description"],
    TotpDevice: ["name"],
    Request: ["justification", "ticket", "ticket_system"],
    RoleSettings: ["changed_by_label"],
    Definition: ["name", "description", "words"],
    Item: ["gives", "justification"],
    Subscription: ["name"],
}


def type_markup():
    """Put markup into every text that somebody can type."""
    for model, columns in TYPED.items():
        rows = model.objects.exclude(path="/") if model is Resource else model.objects.all()
        for column in columns:
            # Some names are unique, so what is there stays in front.
            rows.update(**{column: Concat(column, Value(MARKUP), output_field=CharField())})


def pages(cast: Cast, persona):
    """(address, status, content) of each HTML page that this persona can open; who sees all is shown one of a kind."""
    client = Client(raise_request_exception=False)
    left_out = ("none", "own") if persona == "global_admin" else ("none",)
    for route, whose in cases():
        if whose in left_out:
            continue
        key = cast.key(persona, kind_of(route), whose) if whose else ""
        if key is None:
            continue
        client.cookies[settings.SESSION_COOKIE_NAME] = cast.sessions[persona]
        answer = client.get(address(route, key))
        if "text/html" in answer.get("Content-Type", "") and not answer.streaming:
            yield route, answer.status_code, answer.content


@pytest.mark.parametrize(("persona", "shown"), [("requester", 5), ("approver", 5), ("global_admin", 20)])
def test_markup_is_text_on_every_page(cast, persona, shown):
    with undone():
        type_markup()
        found = list(pages(cast, persona))
    assert [route for route, _status, content in found if RAW in content] == []
    assert [route for route, status, _content in found if status >= 500] == []
    assert len({route for route, _status, content in found if ESCAPED in content}) >= shown


def test_markup_is_text_in_every_mail():
    others = list(Message.objects.values_list("pk", flat=True))  # of the cast of the pages
    administrator, approver = (holder_of(Role.GLOBAL_ADMINISTRATOR, display_name=MARKUP) for _ in range(2))
    role = RoleFactory(
        name=MARKUP,
        resource=ResourceFactory(label=MARKUP),
        settings__approval_required=True,
    )
    person = UserFactory(display_name=MARKUP)
    request = services.activate(
        eligible=EligibleFactory(role=role, user=person),
        actor=person,
        duration=timedelta(hours=1),
        justification=MARKUP,
        ticket=MARKUP[:50],
    )
    services.deny(request=request, actor=approver, justification=MARKUP)
    group = GroupFactory(name=MARKUP, members=[person])
    made = services.assign_eligible(holder=group, role=role, scope=role.resource, actor=administrator)
    services.remove_eligible(eligible=made.eligible_assignment, actor=administrator, justification=MARKUP)
    begun(series(roles=(role,), name=MARKUP))
    mails = {message.kind: render(message) for message in Message.objects.exclude(pk__in=others)}
    told = {"approval_asked", "request_decided", "eligible_assigned", "assignment_removed", "review_started"}
    assert mails.keys() >= told
    assert [kind for kind, words in mails.items() if RAW.decode() in words.html] == []
    assert [kind for kind, words in mails.items() if ESCAPED.decode() not in words.html] == []
    assert [kind for kind, words in mails.items() if "\n" in words.subject] == []
