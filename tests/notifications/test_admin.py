import pytest
from django.urls import reverse

from notifications.models import Message
from tests.client import signed_in
from tests.factories import UserFactory, holder_of

pytestmark = pytest.mark.django_db
LIST = reverse("admin:notifications_message_changelist")


@pytest.fixture
def console(client):
    """A client of somebody who may view messages."""
    signed_in(client, holder_of("security_reader"))
    Message.objects.all().delete()
    return client


def detail(message):
    return reverse("admin:notifications_message_change", args=[message.pk])


def test_list_shows_what_waits_and_why(console, queued):
    queued("<ana>@example.org")
    Message.objects.update(last_error="ConnectionRefusedError: <refused>", attempts=3)
    page = console.get(LIST).content.decode()
    assert "Role ended" in page
    assert "&lt;ana&gt;@example.org" in page
    assert "ConnectionRefusedError: &lt;refused&gt;" in page
    assert '<span class="pim-dot pim-dot--waiting">Queued</span>' in page


@pytest.mark.parametrize(("state", "shown"), [("queued", True), ("sending", True), ("sent", False), ("failed", False)])
def test_list_names_the_next_attempt_of_what_will_be_tried(console, queued, state, shown):
    queued()
    Message.objects.update(state=state, next_attempt_at="2031-02-03T04:05:06Z")
    assert (b"3 Feb 2031" in console.get(LIST).content) is shown


@pytest.mark.parametrize(
    ("query", "found"), [("kind=role_ended", 1), ("kind=approval_asked", 1), ("state__exact=sent", 0)]
)
def test_list_filters(console, queued, query, found):
    queued(kind="role_ended")
    queued(kind="approval_asked")
    assert console.get(f"{LIST}?{query}").context["cl"].queryset.count() == found


def test_list_shows_a_kind_that_is_not_known_any_more(console, queued):
    queued(kind="weekly_pigeon")
    assert b"weekly_pigeon" in console.get(LIST).content


def test_list_costs_the_same_with_one_message_and_with_fifty(console, queued, django_assert_max_num_queries):
    queued()
    console.get(LIST)  # notes in the session when it was last used
    with django_assert_max_num_queries(100) as one:
        console.get(LIST)
    queued(*[f"p{n}@example.org" for n in range(60)])
    with django_assert_max_num_queries(100) as many:
        console.get(LIST)
    assert len(many) == len(one)


def test_detail_shows_the_words(console, queued):
    [message] = queued(kind="account_created", actor="Tom <Lind>", url="https://pim.example/sign-in/")
    page = console.get(detail(message)).content.decode()
    assert "<h1>Account created · ana@example.org</h1>" in page
    assert "account_created" not in page
    assert "PIM: Your account" in page
    assert "Tom &lt;Lind&gt; made an account for you." in page
    assert "https://pim.example/sign-in/" in page


def test_detail_says_why_there_are_no_words(console, queued):
    [message] = queued(kind="weekly_pigeon")
    assert b"TemplateDoesNotExist: emails/weekly_pigeon.subject.txt" in console.get(detail(message)).content


@pytest.mark.parametrize("role", ["security_reader", "global_administrator"])
@pytest.mark.parametrize("way", ["add", "change", "delete"])
def test_nobody_changes_a_message(client, queued, role, way):
    signed_in(client, holder_of(role))
    [message] = queued()
    name = f"admin:notifications_message_{way}"
    url = reverse(name) if way == "add" else reverse(name, args=[message.pk])
    assert client.post(url, {"state": "sent", "post": "yes"}).status_code == 403
    assert Message.objects.get(pk=message.pk).state == Message.State.QUEUED


def test_list_is_refused_without_the_right(client):
    signed_in(client, UserFactory())
    assert client.get(LIST).status_code in {302, 403}
