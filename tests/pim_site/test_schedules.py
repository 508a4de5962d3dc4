from datetime import timedelta
from importlib import import_module

import pytest
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.models import OrmQ, Schedule
from django_q.scheduler import scheduler

from pim_site.duties import DUTIES
from pim_site.schedules import EVERY_MINUTE, drifted, sync

pytestmark = pytest.mark.django_db


def test_schedules_are_there_after_migrating():
    assert set(Schedule.objects.values_list("name", "func")) == set(EVERY_MINUTE.items())
    assert not drifted()


def test_sync_twice_changes_nothing():
    before = list(Schedule.objects.order_by("pk").values())
    sync()
    assert list(Schedule.objects.order_by("pk").values()) == before


def test_sync_takes_foreign_rows_away_and_mends_the_others():
    Schedule.objects.create(name="mine", func="os.system", args="('true',)")
    Schedule.objects.create(name=None, func="os.system")
    Schedule.objects.create(name="expire", func="os.system")
    Schedule.objects.filter(name="beat").update(func="os.system", args="(1,)", minutes=60, repeats=0, cluster="other")
    assert drifted()
    sync()
    assert not drifted()
    assert not Schedule.objects.filter(func="os.system").exists()


def test_sync_calls_back_rows_of_a_clock_that_was_set_back():
    soon = timezone.now() + timedelta(seconds=50)
    Schedule.objects.update(next_run=timezone.now() + timedelta(days=365))
    Schedule.objects.filter(name="beat").update(next_run=soon)

    sync()

    assert set(Schedule.objects.filter(next_run__gt=timezone.now()).values_list("name", "next_run")) == {("beat", soon)}


@pytest.mark.django_db(transaction=True)  # the scheduler closes connections
def test_scheduler_rings_for_every_task():
    Schedule.objects.update(next_run=timezone.now())
    scheduler(broker=ORM("pim"))
    assert sorted(bell.func() for bell in OrmQ.objects.all()) == sorted(EVERY_MINUTE.values())


@pytest.mark.parametrize("path", sorted({*EVERY_MINUTE.values(), *(task for task, _ in DUTIES)}))
def test_task_is_there_and_takes_nothing(path):
    module, name = path.rsplit(".", 1)
    assert isinstance(getattr(import_module(module), name)(), int)
