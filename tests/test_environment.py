import pytest
from django.db import connection

from tests.environment import session_zone


@pytest.mark.postgres
@pytest.mark.django_db
def test_database_session_is_not_in_utc():
    with connection.cursor() as cursor:
        cursor.execute("SHOW timezone")
        (zone,) = cursor.fetchone()
    assert zone == session_zone() != "UTC"
