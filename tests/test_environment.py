import os

import pytest
from django.db import connection

from tests.environment import ZONES


@pytest.mark.postgres
@pytest.mark.django_db
def test_database_session_is_not_in_utc():
    with connection.cursor() as cursor:
        cursor.execute("SHOW timezone")
        (zone,) = cursor.fetchone()
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    assert zone == os.environ.get("PIM_TEST_TIME_ZONE", ZONES[process % 2])
