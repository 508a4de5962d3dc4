import pytest
from django.db import transaction
from django.test import override_settings
from django.utils.timezone import now

from pim_site.ascode.present import export
from pim_site.demo import history
from pim_site.demo.seed import FOUNDED, assigning, found

CALLS = {"OUTGOING_NETWORKS": ["127.0.0.0/8"], "OUTGOING_HTTP": True}  # as the demo is allowed: a role asks it


@pytest.fixture(autouse=True)
def calls():
    with override_settings(**CALLS):
        yield


@pytest.fixture(scope="module")
def demo_file(django_db_setup, django_db_blocker):
    """The file of the demo organisation, which is made and taken back: the site is empty afterwards."""
    block = transaction.atomic()
    block._from_testcase = True  # as Django's own tests mark theirs: what is inside counts as outermost
    with override_settings(**CALLS), django_db_blocker.unblock(), block:
        today = now().replace(microsecond=0)
        history.play(assigning(found(today - FOUNDED), today), until=today)  # what people did since is in no file
        text = export()
        transaction.set_rollback(True)
    return text
