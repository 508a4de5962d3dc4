"""The two commands: what they print, and how they end."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from pim_site.ascode.present import export
from tests.factories import EligibleFactory, UserFactory
from tests.refusals import snapshot

pytestmark = pytest.mark.django_db

WOULD = "create person ada (line 3)\n    name: Ada\n    email: ada@example.org\n"
NEW = "version: 1\npeople:\n  - username: ada\n    name: Ada\n    email: ada@example.org\n"


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "organisation.yaml"
        path.write_text(text)
        return str(path)

    return write


def run(*arguments):
    """What `pim_import` prints, and its exit status."""
    out = StringIO()
    try:
        call_command("pim_import", *arguments, stdout=out)
    except SystemExit as end:
        return out.getvalue(), end.code
    return out.getvalue(), 0


def test_import_says_what_it_would_do_and_does_nothing(file):
    before = snapshot()
    assert run(file(NEW)) == (
        f"{WOULD}With --apply: 1 created, 0 changed, 0 ended. Nothing was changed yet.\n",
        2,
    )
    assert snapshot() == before


def test_import_applied_and_then_nothing_is_left_to_do(file):
    assert run(file(NEW), "--apply") == (
        f"{WOULD}Done: 1 created, 0 changed, 0 ended.\n",
        0,
    )
    assert User.objects.get().username == "ada"
    nothing = "Nothing to do: everything is as the file says.\n"
    assert [run(file(NEW)), run(file(NEW), "--apply")] == [(nothing, 0), (nothing, 0)]


def test_import_refused_with_line_and_reason(file):
    with pytest.raises(CommandError) as error:
        run(file(NEW + "    mail: x\n"), "--apply")
    assert str(error.value).startswith("Refused, nothing was changed:\nline 6: “mail” is no key here.")
    assert error.value.returncode == 1


def test_import_without_the_file_refused(tmp_path):
    with pytest.raises(CommandError, match="No such file"):
        run(str(tmp_path / "none.yaml"))


def test_export_to_a_full_disk_leaves_the_older_one(tmp_path, monkeypatch):
    (tmp_path / "organisation.yaml").write_text("an older one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("audit.files.os.fsync", full)
    with pytest.raises(CommandError, match=r"^Nothing was written: \[Errno 28\] No space left on device$"):
        call_command("pim_export", str(tmp_path / "organisation.yaml"))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("organisation.yaml", "an older one")]


def test_export_writes_the_file_or_prints_it(tmp_path):
    EligibleFactory(user=UserFactory(username="no"))  # a word that YAML takes for a truth value
    out, path = StringIO(), tmp_path / "organisation.yaml"

    call_command("pim_export", stdout=out)
    call_command("pim_export", str(path))

    assert out.getvalue() == path.read_text() == export()
    assert run(str(path)) == ("Nothing to do: everything is as the file says.\n", 0)
