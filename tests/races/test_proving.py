"""One secret, used many times at the same moment."""

import django_otp
import pytest
from django.utils.timezone import now
from django_otp.models import Device

from accounts import factors, services
from accounts.models import Passkey, PasskeyChallenge, StepUpProof
from accounts.rules import EnrolmentRefused, SignInRefused, StepUpRefused, intent_digest
from audit.models import Event
from tests.factories import TotpDeviceFactory, UserFactory, code_of, proof_for
from tests.passkeys import SoftKey, asked, passkey_of

from .guards import count, no_row_locks

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def prove_all(run_in_threads, times=8):
    device = TotpDeviceFactory()
    code = code_of(device)

    def prove(number):
        return services.prove(user=device.user, session=f"session {number}", intent=str(number), code=code)

    return run_in_threads(times, prove)


def test_one_code_used_eight_times_at_once_is_accepted_once(run_in_threads):
    for _ in range(10):
        outcomes = prove_all(run_in_threads)

        assert count(outcomes, StepUpProof) == 1
        assert count(outcomes, StepUpRefused) == 7


def test_control_device_asked_without_lock_accepts_one_code_often(run_in_threads, monkeypatch):
    def without_lock(user, device_id, token):
        device = Device.from_persistent_id(device_id)
        return device if device.verify_token(token) else None

    monkeypatch.setattr(django_otp, "verify_token", without_lock)

    accepted = [count(prove_all(run_in_threads), StepUpProof) for _ in range(5)]

    assert max(accepted) > 1


def answer_all(run_in_threads, times=8):
    user = UserFactory()
    _row, key = passkey_of(user, synced=True)
    answer = key.sign(asked(user, session="session", intent="intent"))

    def prove(number):
        return services.prove(user=user, session="session", intent="intent", passkey=answer)

    return run_in_threads(times, prove)


def test_one_passkey_answer_used_eight_times_at_once_is_accepted_once(run_in_threads):
    for _ in range(10):
        outcomes = answer_all(run_in_threads)

        assert count(outcomes, StepUpProof) == 1
        assert [o.code for o in outcomes if isinstance(o, StepUpRefused)] == ["passkey_expired"] * 7
        StepUpProof.objects.all().delete()


def test_control_challenge_read_and_then_deleted_accepts_one_answer_often(run_in_threads, monkeypatch):
    def read_and_delete(answer, *, user, session, intent):
        row = PasskeyChallenge.objects.filter(user=user, intent_digest=intent).first()
        if row is None:
            raise StepUpRefused("gone", code="passkey_expired")
        PasskeyChallenge.objects.filter(pk=row.pk).delete()
        return row.pk

    monkeypatch.setattr("accounts.services.step_up.take_challenge", read_and_delete)

    accepted = [count(answer_all(run_in_threads), StepUpProof) for _ in range(5)]

    assert max(accepted) > 1


def test_one_new_passkey_sent_eight_times_at_once_is_kept_once(run_in_threads):
    user = UserFactory()
    proof = proof_for(user, "passkey.added", session="session", name="Laptop")
    options = services.new_passkey_options(user=user, session="session", proof=proof)
    answer = SoftKey().make(options)

    def add(number):
        row = StepUpProof.objects.get(pk=proof.pk)
        return services.add_passkey(actor=user, name="Laptop", answer=answer, proof=row, session="session")

    outcomes = run_in_threads(8, add)

    assert count(outcomes, Passkey) == Passkey.objects.count() == 1
    assert [o.code for o in outcomes if isinstance(o, StepUpRefused)] == ["mfa_required"] * 7


def test_two_last_factors_removed_at_once_leave_one(run_in_threads):
    for _ in range(5):
        user = UserFactory()
        both = [TotpDeviceFactory(user=user), passkey_of(user)[0]]
        proofs = [proof_for(user, "factor.removed", session="session", factor=factor.persistent_id) for factor in both]

        def remove(number, both=both, proofs=proofs, user=user):
            services.remove_factor(actor=user, factor=both[number], proof=proofs[number], session="session")

        outcomes = run_in_threads(2, remove)

        assert [o.code for o in outcomes if o is not None] == ["last_factor"]
        assert user.totpdevice_set.count() + user.passkey_set.count() == 1


def consume_all(run_in_threads):
    user = UserFactory()
    proof = StepUpProof.objects.create(
        user=user,
        session_digest=factors.digest("session"),
        intent_digest=intent_digest("factor.removed", app=1),
        method="totp",
        created_at=now(),
    )

    def consume(number):
        row = StepUpProof.objects.get(pk=proof.pk)
        return services.consume(row, user=user, session="session", action="factor.removed", app=1)

    return run_in_threads(8, consume)


def test_one_proof_used_eight_times_at_once_counts_once(run_in_threads):
    for _ in range(10):
        outcomes = consume_all(run_in_threads)

        assert count(outcomes, StepUpProof) == 1
        assert [o.code for o in outcomes if isinstance(o, StepUpRefused)] == ["mfa_required"] * 7


def test_one_enrolment_ticket_used_eight_times_at_once_enrols_once(run_in_threads):
    user = UserFactory()
    ticket = services.issue_ticket(user=user, actor=None)

    def enrol(number):
        device = TotpDeviceFactory.build(user=user)
        password = f"a fictional password {number}"
        key = device.encrypted_key
        return services.enrol(secret=ticket, password=password, encrypted_key=key, code=code_of(device))

    outcomes = run_in_threads(8, enrol)

    assert count(outcomes, list) == 1
    assert [o.code for o in outcomes if isinstance(o, EnrolmentRefused)] == ["ticket_invalid"] * 7
    assert user.totpdevice_set.count() == 1


def guess_all(run_in_threads, times=24):
    """How many wrong passwords of one burst are looked at at all."""
    user = UserFactory()

    def guess(number):
        return services.check_password(identifier=user.username, password=f"wrong {number}", address="192.0.2.1")

    outcomes = run_in_threads(times, guess)
    return [o.code for o in outcomes if isinstance(o, SignInRefused)].count("invalid_credentials")


def test_burst_of_guesses_does_not_pass_the_throttle(run_in_threads):
    assert guess_all(run_in_threads) == 5
    assert Event.objects.filter(action="session.started", outcome="refused").count() == 5


def test_control_without_row_locks_a_burst_passes_the_throttle(run_in_threads):
    with no_row_locks():
        looked_at = [guess_all(run_in_threads) for _ in range(3)]

    assert max(looked_at) > 5
