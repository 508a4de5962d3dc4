"""The way of a file through the console: chosen, looked at, put in force."""

import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Group
from audit.models import Event
from roles.models import Role
from tests.client import signed_in
from tests.factories import GroupFactory, holder_of
from tests.refusals import snapshot, without_audit
from tests.texts import text

pytestmark = pytest.mark.django_db
URL = "/console/accounts/group/import/"


@pytest.fixture
def send(client):
    signed_in(client, holder_of(Role.GLOBAL_ADMINISTRATOR))

    def choose(content):
        file = SimpleUploadedFile("groups.csv", content)
        return client.post(URL, {"file": file, "justification": "New teams."})

    return choose


def hidden(answer):
    return re.search(r'name="packed" value="([^"]+)"', answer.content.decode())[1]


def test_file_is_shown_then_put_in_force(client, send):
    before = without_audit(snapshot())
    answer = send(b"name\nKeepers\n<b>bold</b>\n")

    assert "What will happen: 2 created, 0 changed, 0 ended" in answer.content.decode()
    assert "create group &lt;b&gt;bold&lt;/b&gt;" in answer.content.decode()
    assert without_audit(snapshot()) == before

    done = client.post(URL, {"packed": hidden(answer), "justification": "New teams."}, follow=True)
    assert "Imported: 2 created, 0 changed, 0 ended." in done.content.decode()
    assert set(Group.objects.values_list("name", flat=True)) == {"Keepers", "<b>bold</b>"}
    assert len(set(Event.objects.exclude(action="session.started").values_list("correlation_id", flat=True))) == 1


def test_look_at_a_file_shows_what_new_rows_say(client, send):
    file = SimpleUploadedFile("people.csv", b"username,name,email,kind\nada,Ada Byron,ada@example.org,person\n")
    page = client.post("/console/accounts/user/import/", {"file": file, "justification": "New."})
    assert '<td data-label="In detail">name: Ada Byron; email: ada@example.org</td>' in page.text


def test_date_without_a_zone_is_answered_with_what_to_write(client, send):
    file = SimpleUploadedFile("eligible.csv", b"role,resource,user,ends_at\nReader,/,ada,2030-01-31\n")
    page = client.post("/console/assignments/eligibleassignment/import/", {"file": file, "justification": "New."})
    words = "ends_at: The zone is missing. Write 2030-01-31 00:00:00+00:00 if UTC is meant"
    assert (
        f'<td data-label="What is wrong">{words}, or 2030-01-31 00:00:00+01:00 if it is one hour ahead.</td>'
        in page.text
    )


def test_what_became_wrong_meanwhile_is_refused_when_it_is_confirmed(client, send):
    answer = send(b"name,owners\nKeepers,\n")
    GroupFactory(name="keepers")

    refused = client.post(URL, {"packed": hidden(answer), "justification": "New teams."})

    assert "There is a group with this name already." in refused.content.decode()
    assert Group.objects.get().name == "keepers"


def test_wrong_rows_are_listed_with_their_lines(send):
    page = send(b"name,members\nKeepers,ada\n").content.decode()
    assert "Nothing was imported" in page
    assert "There is nobody with the username “ada”." in page
    assert not Group.objects.exists()


def test_form_without_a_file_asks_for_one(client, send):
    assert "This field is required." in client.post(URL, {"justification": "x1"}).content.decode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(content=st.binary(max_size=200) | text(max_size=200).map(lambda text: f"name\n{text}".encode()))
def test_any_bytes_get_an_answer(send, content):
    assert send(content).status_code == 200


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(text=text(max_size=200))
def test_any_packed_text_gets_an_answer(client, send, text):
    assert client.post(URL, {"packed": text, "justification": "x1"}).status_code == 200


def test_example_is_downloaded(client, send):
    answer = client.get(f"{URL}example.csv")
    assert answer.content.decode().startswith("name,description,protected,owners,members\r\n")
    assert answer["Content-Disposition"] == 'attachment; filename="groups.csv"'
