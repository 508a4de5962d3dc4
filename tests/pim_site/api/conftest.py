import pytest

from roles.models import Role
from tests.api import Program
from tests.factories import holder_of


@pytest.fixture
def asker(db):
    """A Global Administrator."""
    return holder_of(Role.GLOBAL_ADMINISTRATOR)


@pytest.fixture
def admin(asker):
    """The program of this administrator."""
    return Program(asker)
