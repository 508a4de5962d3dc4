import pytest

from roles.models import Role
from tests.api import Program
from tests.factories import holder_of


@pytest.fixture
def admin(db):
    """A program of a Global Administrator."""
    return Program(holder_of(Role.GLOBAL_ADMINISTRATOR))
