import pytest

from accounts.models import User


@pytest.fixture
def person(db):
    return make_person("ana")


@pytest.fixture
def colleague(db):
    return make_person("kim")


def make_person(name):
    return User.objects.create(username=name, email=f"{name}@example.org", display_name=name.title())
