"""The tables that a new demo begins with."""

import pytest

from pim_site.demo import empty


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program of one file, and an environment that nothing is kept in yet."""
    home = tmp_path / "home"
    (home / "roles").mkdir(parents=True)
    (home / "roles" / "__init__.py").touch()
    (home / "roles" / "models.py").write_text("one = 1\n")
    (home / "requirements.txt").write_text("django==5.2\n")
    monkeypatch.setattr(empty, "HOME", home)
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    return home


def test_new_demo_begins_with_the_tables_that_are_kept(program, tmp_path):
    database = tmp_path / "pim.sqlite3"
    assert (empty.begin(database), database.exists()) == (False, False)
    empty.kept().write_bytes(b"tables")

    assert (empty.begin(database), database.read_bytes()) == (True, b"tables")


def test_database_that_is_there_stays(program, tmp_path):
    database = tmp_path / "pim.sqlite3"
    database.write_bytes(b"people")
    empty.kept().write_bytes(b"tables")

    assert (empty.begin(database), database.read_bytes()) == (False, b"people")


@pytest.mark.parametrize("part", ["roles/models.py", "requirements.txt"])
def test_tables_of_another_program_are_not_taken(program, tmp_path, part):
    empty.kept().write_bytes(b"tables")
    (program / part).write_text("another = 2\n")

    assert not empty.begin(tmp_path / "pim.sqlite3")
