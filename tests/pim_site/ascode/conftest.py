import pytest
from django.db import transaction

from pim_site.ascode.present import export
from pim_site.demo.seed import seed


@pytest.fixture(scope="module")
def demo_file(django_db_setup, django_db_blocker):
    """The file of the demo organisation, which is made and taken back: the site is empty afterwards."""
    block = transaction.atomic()
    block._from_testcase = True  # as Django's own tests mark theirs: what is inside counts as outermost
    with django_db_blocker.unblock(), block:
        seed()
        text = export()
        transaction.set_rollback(True)
    return text
