from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.db import transaction

from accounts import services
from accounts.factors import digest
from accounts.models import RecoveryCode, StepUpProof, TotpDevice
from accounts.rules import StepUpRefused, intent_digest
from audit.models import Event
from notifications.models import Message
from tests.factories import PASSWORD, TotpDeviceFactory, UserFactory, code_of, proof_for
from tests.refusals import refused

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 21, 18, 40, 10, tzinfo=UTC)
SESSION, INTENT = "this session", intent_digest("something.done")


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(AT, tick=False) as clock:
        yield clock


@pytest.fixture
def device():
    return TotpDeviceFactory()


def prove(device, code, **differs):
    return services.prove(**{"user": device.user, "session": SESSION, "intent": INTENT, "code": code} | differs)


def tried(device, code, **differs):
    try:
        return prove(device, code, **differs).method
    except StepUpRefused as refusal:
        return refusal.code


def recovery_codes(user):
    return services.renew_recovery_codes(actor=user, proof=proof_for(user, "recovery_codes.renewed"), session=SESSION)


def consume(proof, **differs):
    """The code of the refusal, or None."""
    arguments = {"user": proof.user, "session": SESSION, "action": "something.done"} | differs
    try:
        with transaction.atomic():
            services.consume(proof, **arguments)
    except StepUpRefused as refusal:
        return refusal.code
    return None


# --- proving --------------------------------------------------------------------------------------------------


def test_prove_gives_a_proof_bound_to_person_session_and_intent(device):
    proof = prove(device, code_of(device))
    assert (proof.user, proof.method, proof.created_at, proof.consumed_at) == (device.user, "totp", AT, None)
    assert (proof.session_digest, proof.intent_digest) == (digest(SESSION), INTENT)
    assert list(Event.objects.values_list("action", "outcome")) == [("step_up.proved", "success")]


@pytest.mark.parametrize("write", [" {} ", "{}\n"])
def test_prove_takes_the_code_as_people_type_it(device, write):
    code = code_of(device)
    assert tried(device, write.format(f"{code[:3]} {code[3:]}")) == "totp"


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("", "mfa_required"),
        (" - ", "mfa_required"),
        ("abc", "mfa_invalid"),
        ("\x00", "mfa_invalid"),
        ("\ud800", "mfa_invalid"),
    ],
    ids=ascii,
)
def test_prove_refuses_what_is_no_code(device, code, refusal):
    recovery_codes(device.user)
    assert tried(device, code) == refusal


def test_prove_accepts_a_code_once(device):
    code = code_of(device)
    assert tried(device, code) == "totp"
    assert tried(device, code) == "mfa_reused"


def test_prove_refuses_the_code_before_the_last_one(device):
    before = code_of(device, steps=-1)
    assert tried(device, code_of(device)) == "totp"
    assert tried(device, before) == "mfa_reused"


def test_prove_accepts_the_next_code(device, clock):
    prove(device, code_of(device))
    clock.shift(timedelta(seconds=30))
    assert tried(device, code_of(device)) == "totp"


def test_prove_refuses_the_code_of_somebody_else(device):
    other = TotpDeviceFactory()
    assert tried(device, code_of(other)) == "mfa_invalid"
    assert tried(device, code_of(other), app=other) == "mfa_invalid"


def test_prove_refuses_a_factor_that_is_not_confirmed(device):
    TotpDevice.objects.update(confirmed=False)
    assert tried(device, code_of(device)) == "mfa_invalid"


def test_prove_takes_the_app_that_was_chosen(device):
    second = TotpDeviceFactory(user=device.user)
    assert tried(device, code_of(second)) == "mfa_invalid"
    assert tried(device, code_of(second), app=second) == "totp"


def test_prove_records_each_refusal(device):
    tried(device, wrong(device))
    tried(device, code_of(device))
    events = Event.objects.order_by("id").values_list("action", "outcome", "code")
    assert list(events) == [("step_up.proved", "refused", "mfa_invalid"), ("step_up.proved", "refused", "throttled")]


@pytest.mark.parametrize(("failures", "seconds"), [(1, 1), (2, 2), (5, 16), (10, 512)])
def test_prove_makes_each_guess_wait_twice_as_long(device, clock, failures, seconds):
    for _ in range(failures):
        assert tried(device, wrong(device)) == "mfa_invalid"
        clock.shift(timedelta(minutes=20))
    clock.shift(timedelta(minutes=-20) + timedelta(seconds=seconds, microseconds=-1))
    assert tried(device, code_of(device)) == "throttled"
    clock.shift(timedelta(microseconds=2))
    assert tried(device, code_of(device)) == "totp"


def wrong(device):
    near = {code_of(device, steps=step) for step in (-1, 0, 1)}
    return next(code for code in ("000000", "000001", "000002", "000003") if code not in near)


def test_prove_forgets_wrong_guesses_with_a_right_code(device, clock):
    tried(device, wrong(device))
    clock.shift(timedelta(seconds=30))
    prove(device, code_of(device))
    device.refresh_from_db()
    assert device.throttling_failure_count == 0


def test_count_of_guesses_survives_what_follows(device):
    """The proof commits by itself: what fails afterwards does not give the guess back."""
    tried(device, wrong(device))
    with pytest.raises(ValueError, match="afterwards"), transaction.atomic():
        raise ValueError("afterwards")
    device.refresh_from_db()
    assert device.throttling_failure_count == 1


@pytest.mark.django_db(transaction=True)
def test_prove_refuses_to_be_undone(device):
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        prove(device, code_of(device))
    device.refresh_from_db()
    assert (device.last_step, StepUpProof.objects.count()) == (-1, 0)


def test_recovery_code_is_accepted_once(device):
    code, other, *_rest = recovery_codes(device.user)
    assert tried(device, code.upper().replace("-", " ")) == "recovery"
    assert tried(device, code) == "mfa_invalid"
    assert tried(device, other) == "throttled"


def test_recovery_codes_are_kept_as_digests(device):
    codes = recovery_codes(device.user)
    stored = set(RecoveryCode.objects.values_list("digest", flat=True))
    assert stored == {digest(code.replace("-", "")) for code in codes}


def test_recovery_code_of_somebody_else_is_refused(device):
    recovery_codes(device.user)
    codes = recovery_codes(UserFactory())
    assert tried(device, codes[0]) == "mfa_invalid"


def test_wrong_recovery_code_does_not_block_the_app(device):
    recovery_codes(device.user)
    assert tried(device, "abcd-abcd-abcd-abcd") == "mfa_invalid"
    assert tried(device, code_of(device)) == "totp"


# --- using a proof --------------------------------------------------------------------------------------------


@pytest.fixture
def proof(device):
    return prove(device, code_of(device))


def test_consume_uses_a_proof_up(proof, clock):
    assert consume(proof) is None
    proof.refresh_from_db()
    assert proof.consumed_at == AT
    assert consume(proof) == "mfa_required"


def test_consume_sees_that_another_was_faster(proof):
    stale = StepUpProof.objects.get()
    assert (consume(proof), consume(stale)) == (None, "mfa_required")


@pytest.mark.parametrize(("age", "code"), [(120, None), (121, "mfa_required"), (-1, "mfa_required")])
def test_consume_takes_a_proof_for_two_minutes(proof, clock, age, code):
    clock.shift(timedelta(seconds=age))
    assert consume(proof) == code


def test_consume_refuses_a_proof_for_anything_else(proof):
    assert consume(proof, session="another session") == "mfa_required"
    assert consume(proof, action="something.else") == "mfa_required"
    assert consume(proof, more="than was proved") == "mfa_required"
    assert consume(proof, user=UserFactory()) == "mfa_required"
    assert consume(proof) is None


def test_consume_is_undone_with_what_the_proof_was_for(proof):
    with transaction.atomic():
        services.consume(proof, user=proof.user, session=SESSION, action="something.done")
        transaction.set_rollback(True)
    assert consume(proof) is None


# --- enrolment ------------------------------------------------------------------------------------------------


def enrolment(**differs):
    app = TotpDeviceFactory.build()
    user = differs.pop("user", None) or UserFactory(password="!")
    secret = services.issue_ticket(user=user, actor=None)
    arguments = {"secret": secret, "password": PASSWORD, "encrypted_key": app.encrypted_key, "code": code_of(app)}
    return user, arguments | differs


def test_enrol_sets_password_app_and_recovery_codes():
    user, arguments = enrolment()
    codes = services.enrol(**arguments)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert TotpDevice.objects.get().encrypted_key == arguments["encrypted_key"]
    assert (len(codes), RecoveryCode.objects.count()) == (10, 10)
    assert list(Message.objects.values_list("kind", "to_address")) == [("factors_changed", user.email)]
    assert list(Event.objects.values_list("action", "outcome")) == [("enrolment.completed", "success")]


def test_enrol_replaces_every_factor_that_was_there():
    old = TotpDeviceFactory()
    recovery = recovery_codes(old.user)
    _user, arguments = enrolment(user=old.user)
    services.enrol(**arguments)
    assert not TotpDevice.objects.filter(pk=old.pk).exists()
    assert tried(old, recovery[0]) == "mfa_invalid"


def test_enrol_uses_the_code_up():
    user, arguments = enrolment()
    services.enrol(**arguments)
    assert tried(TotpDevice.objects.get(user=user), arguments["code"]) == "mfa_reused"


def test_enrol_takes_a_link_once():
    _user, arguments = enrolment()
    services.enrol(**arguments)
    with refused("ticket_invalid"):
        services.enrol(**arguments)


@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({"secret": "another"}, "ticket_invalid"),
        ({"secret": ""}, "ticket_invalid"),
        ({"code": "123"}, "mfa_invalid"),
        ({"code": ""}, "mfa_invalid"),
        ({"password": "short"}, "password_too_short"),
        ({"password": ""}, "password_too_short"),
        ({"password": "password1234"}, "password_too_common"),
    ],
    ids=str,
)
def test_enrol_refused_leaves_the_link_as_it_was(differs, code):
    user, arguments = enrolment()
    with refused(code):
        services.enrol(**arguments | differs)
    services.enrol(**arguments)
    user.refresh_from_db()
    assert user.has_usable_password()


def test_enrol_refuses_a_link_that_is_three_days_old(clock):
    _user, arguments = enrolment()
    clock.shift(timedelta(hours=72))
    with refused("ticket_invalid"):
        services.enrol(**arguments)


def test_enrol_refuses_a_person_disabled_meanwhile():
    user, arguments = enrolment()
    type(user).objects.update(is_active=False)
    with refused("ticket_invalid"):
        services.enrol(**arguments)


def test_enrol_leaves_no_secret_behind():
    _user, arguments = enrolment()
    services.enrol(**arguments)
    with pytest.raises(ValidationError):
        services.enrol(**arguments)
    written = "".join(Event.objects.values_list("canonical", flat=True))
    written += "".join(Message.objects.values_list("context", flat=True))
    assert not any(arguments[name] in written for name in ("secret", "password", "encrypted_key"))


# --- changing factors -----------------------------------------------------------------------------------------


def addition(user):
    app = TotpDeviceFactory.build()
    proof = proof_for(user, "factor.added", key=digest(app.encrypted_key))
    arguments = {"name": "Tablet", "encrypted_key": app.encrypted_key, "code": code_of(app), "proof": proof}
    return arguments | {"actor": user, "session": SESSION}


def test_add_app_tells_and_records(device):
    app = services.add_app(**addition(device.user) | {"name": "  Tablet " + "x" * 100})
    assert set(device.user.totpdevice_set.values_list("name", flat=True)) == {"Phone", ("Tablet " + "x" * 100)[:64]}
    assert app.confirmed
    assert list(Message.objects.values_list("kind", "to_address")) == [("factors_changed", device.user.email)]


def test_add_app_refuses_a_proof_made_for_another_key(device):
    arguments = addition(device.user) | {"proof": proof_for(device.user, "factor.added", key="another")}
    with refused("mfa_required"):
        services.add_app(**arguments)


def test_add_app_refuses_a_code_that_the_app_does_not_show(device):
    arguments = addition(device.user)
    with refused("mfa_invalid"):
        services.add_app(**arguments | {"code": code_of(device)})


def remove(user, app):
    proof = proof_for(user, "factor.removed", factor=app.persistent_id)
    return lambda: services.remove_factor(actor=user, factor=app, proof=proof, session=SESSION)


def test_remove_app_takes_just_that_one(device):
    second = TotpDeviceFactory(user=device.user)
    remove(device.user, second)()
    assert list(TotpDevice.objects.all()) == [device]


def test_remove_app_keeps_the_last_one(device):
    removal = remove(device.user, device)
    with refused("last_factor"):
        removal()


def test_remove_app_refuses_that_of_somebody_else(device):
    TotpDeviceFactory(user=device.user)
    removal = remove(device.user, TotpDeviceFactory())
    with refused("not_found"):
        removal()


def test_renew_recovery_codes_ends_the_old_ones(device):
    old, new = recovery_codes(device.user), recovery_codes(device.user)
    assert tried(device, old[0]) == "mfa_invalid"
    assert not set(old) & set(new)
    assert RecoveryCode.objects.count() == 10


def test_change_password_ends_other_sessions(device):
    before = device.user.get_session_auth_hash()
    proof = proof_for(device.user, "password.changed")
    services.change_password(actor=device.user, password="another long password", proof=proof, session=SESSION)
    device.user.refresh_from_db()
    assert device.user.check_password("another long password")
    assert device.user.get_session_auth_hash() != before


def test_change_password_refuses_a_weak_one_and_gives_the_proof_back(device):
    proof = proof_for(device.user, "password.changed")
    with refused("password_too_short"):
        services.change_password(actor=device.user, password="short", proof=proof, session=SESSION)
    proof.refresh_from_db()
    assert proof.consumed_at is None


def test_rotate_keys_leaves_codes_as_they_are(device, settings, clock):
    newest = Fernet.generate_key().decode()
    settings.FACTOR_KEYS = [newest, *settings.FACTOR_KEYS]
    assert services.rotate_keys(actor=None) == 1
    settings.FACTOR_KEYS = [newest]
    device.refresh_from_db()
    assert tried(device, code_of(device)) == "totp"
