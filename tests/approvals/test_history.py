"""The file of one's history, as a spreadsheet reads it."""

import csv

import pytest
from django.db import transaction

from audit.services import record
from tests.client import signed_in
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def cells(client):
    text = b"".join(client.get("/history/", {"format": "csv"}).streaming_content).decode()
    return [cell for line in csv.reader(text.splitlines()) for cell in line]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "＝", "＋", "－", "＠", "\t"])
def test_file_has_no_cell_that_is_a_formula(client, sign):
    person, formula = UserFactory(display_name=f"{sign}NAME()"), f"{sign}HYPERLINK(1)"
    with transaction.atomic():
        record("session.ended", actor=person, target=person, ticket=formula, justification=formula)
    signed_in(client, person)

    found = cells(client)

    assert found.count(f"'{formula}") == 2
    assert not [cell for cell in found if cell.startswith(sign)]
