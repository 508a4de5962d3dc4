"""A large CSV file, in full size: too dear for every run of the tests. `make benchmark` runs this on both databases."""

import resource
import sys
import time

import pytest

from accounts.models import User
from approvals.models import Request
from assignments.models import EligibleAssignment
from audit.models import Event
from notifications.models import Message
from pim_site.ascode.document import FileRefused
from pim_site.imports.rows import read
from pim_site.imports.services import import_rows
from roles.models import Role
from tests.factories import RoleFactory, UserFactory, holder_of

pytestmark = pytest.mark.django_db

ROWS = 10_000
SECONDS, MEGABYTES = 60, 200


def peak():
    """The most memory that this process ever had, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024 / 1024


@pytest.fixture
def administrator():
    return holder_of(Role.GLOBAL_ADMINISTRATOR)


@pytest.fixture
def content(administrator):
    """A file that makes 10,000 people eligible."""
    RoleFactory(name="Reader")
    User.objects.bulk_create(UserFactory.build_batch(ROWS, password="!"), batch_size=500)
    names = User.objects.exclude(pk=administrator.pk).values_list("username", flat=True)
    return ("role,resource,user\n" + "".join(f"Reader,/,{name}\n" for name in names)).encode()


def test_ten_thousand_rows_in_a_minute_and_bounded_memory(administrator, content, capsys):
    before, began, worked = peak(), time.perf_counter(), time.process_time()
    import_rows(actor=administrator, document=read("eligible", content), justification="As agreed.")
    seconds, worked, grown = time.perf_counter() - began, time.process_time() - worked, peak() - before
    with capsys.disabled():
        print(f"\n{ROWS} rows in {seconds:.1f} s, {worked:.1f} s of them Python's; at most {grown:.0f} MB more memory")
    assert EligibleAssignment.objects.count() == Request.objects.count() == ROWS
    assert seconds < SECONDS
    assert grown < MEGABYTES


def test_ten_thousand_rows_with_a_wrong_one_write_nothing(administrator, content):
    document = read("eligible", content + b"Reader,/,nobody\n")
    with pytest.raises(FileRefused) as refusal:
        import_rows(actor=administrator, document=document, justification="As agreed.")
    assert [fault.line for fault in refusal.value.faults] == [ROWS + 2]
    assert not EligibleAssignment.objects.exists()
    assert not Request.objects.exists()
    assert not Message.objects.exists()
    assert [(event.action, event.code) for event in Event.objects.all()] == [("rows.imported", "file_refused")]
