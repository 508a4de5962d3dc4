from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import transaction

from accounts import services
from accounts.models import SignInCounter, User
from accounts.rules import SignInRefused, StepUpRefused
from audit.models import Event
from tests.factories import PASSWORD, UserFactory, proof_for

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


@pytest.fixture
def ana():
    return UserFactory(username="ana", email="ana@example.org")


def attempt(password=PASSWORD, *, name="ana", address="192.0.2.1"):
    """The person who is let in, or the code of the refusal."""
    try:
        return services.check_password(identifier=name, password=password, address=address)
    except SignInRefused as refusal:
        return refusal.code


def attempts(count, **kwargs):
    return [attempt("wrong", **kwargs) for _ in range(count)]


def events():
    return list(Event.objects.order_by("id").values_list("action", "outcome", "code", "subject_id"))


@pytest.mark.parametrize("name", ["ana", "ANA", "ana@example.org", "Ana@Example.ORG"])
def test_check_password_by_name_or_address(ana, name):
    assert attempt(name=name) == ana
    assert events() == []


@pytest.mark.parametrize("differs", [{"is_active": False}, {"kind": User.Kind.SERVICE}, {"password": "!"}], ids=str)
def test_check_password_refuses_who_may_not_sign_in(ana, differs):
    User.objects.update(**differs)
    assert attempt() == "invalid_credentials"


@pytest.mark.parametrize("name", ["nobody", "", "%", "\x00", "\ud800", "a" * 10_000], ids=ascii)
def test_check_password_says_the_same_of_strangers(ana, name):
    refusals = []
    for known in (name, "ana"):
        with pytest.raises(SignInRefused) as refusal:
            services.check_password(identifier=known, password="wrong\ud800", address="192.0.2.1")
        refusals.append((refusal.value.code, refusal.value.message))
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize("name", ["Sıs", "ſis", "SİS"])
def test_a_name_in_letters_that_are_counted_apart_is_another_name(name):
    UserFactory(username="sis")

    assert not User.objects.named(name).exists()
    assert User.objects.named("SIS").exists()


def test_a_name_with_a_capital_that_is_not_ascii_is_found_as_it_is_written():
    assert User.objects.named(UserFactory(username="Émile").username).exists()


def test_check_password_records_whom_it_was_about_and_not_what_was_typed(ana):
    attempt("wrong")
    attempt("secret", name="my password by mistake")
    refused = ("session.started", "refused", "invalid_credentials")
    assert events() == [(*refused, ana.pk), (*refused, None)]
    assert not Event.objects.filter(canonical__contains="mistake").exists()


def test_five_failures_are_free_then_the_right_password_waits(ana, clock):
    assert attempts(5) == ["invalid_credentials"] * 5
    assert attempt() == "throttled"
    clock.shift(timedelta(seconds=1))
    assert attempt() == ana


@pytest.mark.parametrize(("failures", "seconds"), [(5, 1), (6, 2), (9, 16), (15, 900)])
def test_wait_doubles_with_each_failure(ana, clock, failures, seconds):
    for _ in range(failures):
        assert attempt("wrong") == "invalid_credentials"
        clock.shift(timedelta(minutes=15))
    clock.shift(timedelta(minutes=-15) + timedelta(seconds=seconds, microseconds=-1))
    assert attempt() == "throttled"
    clock.shift(timedelta(microseconds=1))
    assert attempt() == ana


def test_throttled_attempts_neither_count_nor_lengthen_the_wait(ana, clock):
    attempts(5)
    assert attempts(50) == ["throttled"] * 50
    clock.shift(timedelta(seconds=1))
    assert attempt() == ana


def test_throttle_by_address_counts_over_all_names(clock):
    tried = [attempt("wrong", name=f"name{number}") for number in range(51)]
    assert tried == ["invalid_credentials"] * 50 + ["throttled"]


def test_throttle_by_name_counts_over_all_addresses(ana, clock):
    tried = [attempt("wrong", address=f"192.0.2.{number}") for number in range(21)]
    assert tried == ["invalid_credentials"] * 20 + ["throttled"]
    clock.shift(timedelta(minutes=1))
    assert attempt(address="198.51.100.1") == ana


def test_strangers_keep_a_person_out_for_a_minute_at_most(ana, clock):
    for number in range(30):
        attempt("wrong", address=f"192.0.2.{number}")
        clock.shift(timedelta(minutes=1))
    assert attempt(address="198.51.100.1") == ana


def test_right_password_forgives_what_was_wrong_before(ana, clock):
    attempts(4)
    attempt()
    assert attempts(5) == ["invalid_credentials"] * 5


def test_right_password_of_one_does_not_reset_the_count_of_an_address(ana, clock):
    UserFactory(username="kim")
    for number in range(49):
        attempt("wrong", name=f"name{number}")
    attempt(name="kim")
    clock.shift(timedelta(seconds=1))
    assert attempt("wrong", name="one more") == "invalid_credentials"
    assert attempt() == "throttled"


def test_failures_are_forgotten_after_a_day(ana, clock):
    attempts(5)
    clock.shift(timedelta(hours=24, seconds=1))
    assert attempts(5) == ["invalid_credentials"] * 5


def test_attempt_is_counted_before_the_password_is_looked_at(ana, clock, monkeypatch):
    def die(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(User, "check_password", die)
    with pytest.raises(KeyboardInterrupt):
        attempt()
    assert sorted(SignInCounter.objects.values_list("failures", flat=True)) == [1, 1, 1]


@pytest.mark.django_db(transaction=True)
def test_check_password_refuses_to_be_undone():
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        attempt()


def test_sign_in_needs_a_proof_made_for_it(ana, clock):
    proof = proof_for(ana, "session.started")
    services.sign_in(user=ana, proof=proof, session="this session")
    assert User.objects.get(pk=ana.pk).last_sign_in_at == AT
    (event,) = Event.objects.all()
    assert (event.action, event.actor_id, event.facts["after"]) == ("session.started", ana.pk, {"method": "totp"})


def test_sign_in_refuses_the_proof_of_an_activation(ana):
    proof = proof_for(ana, "activation.requested")
    with pytest.raises(StepUpRefused):
        services.sign_in(user=ana, proof=proof, session="this session")
    assert User.objects.get(pk=ana.pk).last_sign_in_at is None


def test_sign_out_is_recorded(ana):
    services.sign_out(user=ana, session="this session")
    assert events() == [("session.ended", "success", "", ana.pk)]
