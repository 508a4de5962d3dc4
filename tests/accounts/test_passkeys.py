"""Passkeys, with an authenticator in software: what is asked, which answers count, and how often."""

import json
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils.timezone import now
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webauthn.helpers import bytes_to_base64url

from accounts import passkeys, services
from accounts.factors import digest
from accounts.models import Passkey, PasskeyChallenge, StepUpProof, TotpDevice
from accounts.passkeys import Unfit, challenge_of, parsed
from accounts.rules import StepUpRefused, intent_digest
from accounts.tasks import forget_due
from audit.models import Event
from notifications.models import Message
from tests.factories import TotpDeviceFactory, UserFactory, code_of, proof_for
from tests.passkeys import ORIGIN, PRESENT, SoftKey, altered, asked, passkey_of, unpacked
from tests.refusals import refused
from tests.texts import text

pytestmark = pytest.mark.django_db

SESSION, INTENT = "this session", "what is asked"


@pytest.fixture(autouse=True)
def clock(time_machine):
    time_machine.move_to(now().replace(microsecond=0), tick=False)
    return time_machine


@pytest.fixture
def user():
    return UserFactory(username="ana", display_name="Ana Example")


@pytest.fixture
def key(user):
    return passkey_of(user)[1]


def ask(user, **differs):
    return asked(user, **{"session": SESSION, "intent": INTENT} | differs)


def prove(user, answer, **differs):
    return services.prove(**{"user": user, "session": SESSION, "intent": INTENT, "passkey": answer} | differs)


def tried(user, answer, **differs):
    """The method of the proof, or the code of the refusal."""
    try:
        return prove(user, answer, **differs).method
    except StepUpRefused as refusal:
        return refusal.code


@contextmanager
def refused_proof(code):
    """One event and no proof. The challenge is used up, so this is not `refused`, which takes that for a change."""
    rows = list(Passkey.objects.values())
    with pytest.raises(StepUpRefused) as refusal:
        yield
    assert refusal.value.code == code
    assert list(Event.objects.values_list("action", "outcome", "code")) == [("step_up.proved", "refused", code)]
    assert not StepUpProof.objects.exists()
    assert list(Passkey.objects.values()) == rows


# --- what is asked --------------------------------------------------------------------------------------------


def test_ask_names_my_passkeys_and_demands_verification(user, key):
    passkey_of(UserFactory())
    options = ask(user)
    challenge = PasskeyChallenge.objects.get()
    assert options == {
        "challenge": challenge.pk,
        "timeout": 120_000,
        "rpId": "localhost",
        "allowCredentials": [{"id": key.name, "type": "public-key"}],
        "userVerification": "required",
    }
    assert (challenge.user, challenge.session_digest, challenge.intent_digest) == (user, digest(SESSION), INTENT)


def test_ask_makes_another_challenge_each_time(user, key):
    assert len({ask(user)["challenge"] for _ in range(5)}) == 5


def test_ask_refused_for_a_person_without_passkeys(user):
    assert tried(user, services.ASK) == "no_passkey"
    assert not PasskeyChallenge.objects.exists()


def test_ask_forgets_what_was_not_answered_in_time(user, key, clock):
    ask(user)
    clock.shift(timedelta(seconds=121))
    ask(user)
    assert PasskeyChallenge.objects.count() == 1


def test_ask_leaves_no_event(user, key):
    ask(user)
    assert not Event.objects.exists()


# --- which answers count --------------------------------------------------------------------------------------


def test_answer_proves(user, key):
    proof = prove(user, key.sign(ask(user)))
    row = Passkey.objects.get()
    assert (proof.user, proof.method, proof.device) == (user, "passkey", row.persistent_id)
    assert (proof.session_digest, proof.intent_digest, proof.consumed_at) == (digest(SESSION), INTENT, None)
    assert (row.sign_count, row.last_used_at) == (1, now())
    assert not PasskeyChallenge.objects.exists()
    assert list(Event.objects.values_list("action", "outcome")) == [("step_up.proved", "success")]


@pytest.mark.parametrize(
    "differs",
    [
        {"flags": PRESENT},
        {"flags": 0x04},
        {"origin": "https://pim.example.net"},
        {"origin": "http://localhost:8001"},
        {"origin": "https://localhost:8000"},
        {"rp": "example.net"},
        {"kind": "webauthn.create"},
        {"kind": "payment.get"},
    ],
    ids=["not verified", "not present", "other site", "other port", "other scheme", "other host", "making", "paying"],
)
def test_answer_refused_that_is_not_what_was_asked(user, key, differs):
    answer = key.sign(ask(user), **differs)
    with refused_proof("passkey_invalid"):
        prove(user, answer)
    assert not PasskeyChallenge.objects.exists()  # used up, whatever the answer was


@pytest.mark.parametrize("part", ["authenticatorData", "signature", "clientDataJSON"])
def test_answer_refused_with_one_byte_changed(user, key, part):
    answer = key.sign(ask(user))
    whole = unpacked(answer, part)
    changed = bytes_to_base64url(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    assert tried(user, altered(answer, **{part: changed})) in {"passkey_invalid", "passkey_expired"}
    assert not StepUpProof.objects.exists()


def test_answer_refused_of_another_persons_passkey(user, key):
    _row, other = passkey_of(UserFactory())
    with refused_proof("passkey_invalid"):
        prove(user, other.sign(ask(user)))


def test_answer_refused_signed_by_another_key_under_my_name(user, key):
    forger = SoftKey()
    forger.id = key.id
    with refused_proof("passkey_invalid"):
        prove(user, forger.sign(ask(user)))


def test_answer_refused_of_a_passkey_that_was_removed(user, key):
    _row, second = passkey_of(user)
    answer = second.sign(ask(user))
    Passkey.objects.filter(credential_id=second.name).delete()
    with refused_proof("passkey_invalid"):
        prove(user, answer)


def test_answer_refused_of_an_unconfirmed_passkey(user, key):
    _row, second = passkey_of(user)
    answer = second.sign(ask(user))
    Passkey.objects.filter(credential_id=second.name).update(confirmed=False)
    with refused_proof("passkey_invalid"):
        prove(user, answer)


@pytest.mark.parametrize("count", [5, 4, 0])
def test_answer_refused_whose_count_did_not_go_up(user, key, count):
    Passkey.objects.update(sign_count=5)
    with refused_proof("passkey_copied"):
        prove(user, key.sign(ask(user), count=count))


def test_answer_with_a_count_of_more_than_31_bits_proves(user, key):
    assert tried(user, key.sign(ask(user), count=2**32 - 1)) == "passkey"


def test_synced_passkey_counts_nothing_and_proves_each_time(user):
    _row, key = passkey_of(user, synced=True)
    assert [tried(user, key.sign(ask(user))) for _ in range(3)] == ["passkey"] * 3


# --- how often, and for what ----------------------------------------------------------------------------------


def test_answer_counts_once(user, key):
    answer = key.sign(ask(user))
    assert [tried(user, answer) for _ in range(3)] == ["passkey", "passkey_expired", "passkey_expired"]


def test_answer_refused_for_another_intent_or_session_and_counts_for_its_own(user, key):
    answer = key.sign(ask(user))
    assert tried(user, answer, intent="something else") == "passkey_expired"
    assert tried(user, answer, session="another session") == "passkey_expired"
    assert tried(user, answer) == "passkey"


def test_answer_refused_for_a_challenge_to_another_person(user, key):
    other = UserFactory()
    passkey_of(other)
    assert tried(user, key.sign(ask(other))) == "passkey_expired"


def test_answer_refused_to_a_challenge_that_was_made_up(user, key):
    options = ask(user) | {"challenge": "A" * 86}
    assert tried(user, key.sign(options)) == "passkey_expired"


@pytest.mark.parametrize(("seconds", "verdict"), [(120, "passkey"), (121, "passkey_expired"), (-1, "passkey_expired")])
def test_answer_counts_for_two_minutes(user, key, clock, seconds, verdict):
    answer = key.sign(ask(user))
    clock.shift(timedelta(seconds=seconds))
    assert tried(user, answer) == verdict


def test_two_tabs_are_answered_each_for_itself(user, key):
    first, second = ask(user, intent="first"), ask(user, intent="second")
    assert tried(user, key.sign(second), intent="second") == "passkey"
    assert tried(user, key.sign(first), intent="first") == "passkey"


def test_passkey_answer_does_not_count_as_a_code(user, key):
    TotpDeviceFactory(user=user)
    answer = key.sign(ask(user))
    with pytest.raises(StepUpRefused) as refusal:
        services.prove(user=user, session=SESSION, intent=INTENT, code=answer)
    assert refusal.value.code == "mfa_invalid"


def test_device_itself_accepts_no_token(user, key):
    row = Passkey.objects.get()
    assert not any(row.verify_token(token) for token in ("", "123456", key.name))


def test_only_a_passkey_satisfies_phishing_resistance(user, key):
    app = TotpDeviceFactory(user=user)
    code = code_of(app)
    assert tried(user, "", code=code, phishing_resistant=True) == "phishing_resistant_required"
    assert tried(user, key.sign(ask(user)), phishing_resistant=True) == "passkey"
    assert tried(user, "", code=code) == "totp"  # it was not used up


# --- what strangers write -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "ASK",
        "{}",
        "[]",
        "null",
        "1",
        "[" * 9_000,
        '{"id": "a", "response": {}}',
        '{"id": 1, "response": {}}',
        '{"id": "a", "response": {"clientDataJSON": 1}}',
        '{"id": "a", "response": {"clientDataJSON": "!"}}',
        '{"id": "\\u0000", "response": {"clientDataJSON": "e30"}}',
        json.dumps({"id": "a", "response": {"clientDataJSON": bytes_to_base64url(b'{"challenge": "\\u0000"}')}}),
        json.dumps({"id": "a", "response": {"clientDataJSON": bytes_to_base64url(b'{"challenge": ["a"]}')}}),
    ],
    ids=range(13),
)
def test_nonsense_is_refused(user, key, answer):
    ask(user)
    with refused_proof("passkey_invalid"):
        prove(user, answer)


@pytest.mark.once
@given(
    st.recursive(
        st.none() | st.integers() | text(),
        lambda each: (
            st.lists(each)
            | st.dictionaries(st.sampled_from(["id", "response", "clientDataJSON", "challenge"]) | text(), each)
        ),
    )
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_parsers_raise_nothing_but_unfit(value):
    for read in (lambda: parsed(json.dumps(value)), lambda: challenge_of(value)):
        try:
            read()
        except Unfit:
            pass


@pytest.mark.once
@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_signed_data_of_any_shape_is_refused(data):
    key, options = SoftKey(), {"challenge": passkeys.new_challenge(), "rpId": "localhost"}
    answer = parsed(altered(key.sign(options), authenticatorData=bytes_to_base64url(data)))
    with pytest.raises(Unfit):
        passkeys.signed(answer, options["challenge"], key.cose)


# --- adding and removing --------------------------------------------------------------------------------------


def addition(user, key=None, *, name="Laptop", **differs):
    """What `add_passkey` takes, from the question to the answer."""
    proof = proof_for(user, "passkey.added", name=name)
    options = services.new_passkey_options(user=user, session=SESSION, proof=proof)
    answer = (key or SoftKey()).make(options, **differs)
    return {"actor": user, "name": name, "answer": answer, "proof": proof, "session": SESSION}


def test_options_for_a_new_passkey_demand_verification_and_name_those_present(user, key):
    proof = proof_for(user, "passkey.added", name="Laptop")
    options = services.new_passkey_options(user=user, session=SESSION, proof=proof)
    assert options["rp"] == {"id": "localhost", "name": "PIM"}
    assert options["user"] == {"id": bytes_to_base64url(user.pk.bytes), "name": "ana", "displayName": "Ana Example"}
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert [each["id"] for each in options["excludeCredentials"]] == [key.name]
    assert options["attestation"] == "none"


@pytest.mark.parametrize("synced", [True, False])
def test_add_passkey_keeps_it_tells_and_records(user, synced):
    key = SoftKey(synced=synced)
    services.add_passkey(**addition(user, key))
    row = Passkey.objects.get()
    assert (row.user, row.name, row.credential_id, row.is_synced) == (user, "Laptop", key.name, synced)
    assert (row.sign_count, row.transports, bytes(row.public_key)) == (key.count, ["internal"], key.cose)
    assert list(Message.objects.values_list("kind", "to_address")) == [("factors_changed", user.email)]
    assert list(Event.objects.values_list("action", "outcome")) == [("passkey.added", "success")]
    assert tried(user, key.sign(ask(user))) == "passkey"


def test_add_passkey_names_one_without_a_name(user):
    assert services.add_passkey(**addition(user, name="")).name == "Passkey"


@pytest.mark.parametrize(
    "differs",
    [{"flags": 0x41}, {"flags": 0x44}, {"origin": "https://pim.example.net"}, {"rp": "example.net"}, {"kind": "x"}],
    ids=["not verified", "not present", "other site", "other host", "not made"],
)
def test_add_passkey_refuses_what_was_not_asked(user, differs):
    arguments = addition(user, **differs)
    with refused("passkey_invalid"):
        services.add_passkey(**arguments)


def test_add_passkey_refuses_one_that_is_known_already(user, key):
    arguments = addition(UserFactory(), key)
    with refused("passkey_invalid"):
        services.add_passkey(**arguments)


def test_add_passkey_refuses_an_answer_to_another_proofs_challenge(user):
    first, second = addition(user), addition(user)
    with refused("passkey_expired"):
        services.add_passkey(**first | {"answer": second["answer"]})


def test_add_passkey_refuses_an_answer_that_only_signs(user, key):
    proof = proof_for(user, "passkey.added", name="Laptop")
    answer = key.sign(ask(user, intent=intent_digest("passkey.created", proof=proof.pk)))
    with refused("passkey_invalid"):
        services.add_passkey(actor=user, name="Laptop", answer=answer, proof=proof, session=SESSION)


def test_making_a_passkey_proves_nothing(user, key):
    request = ask(user)
    answer = key.make({"rp": {"id": "localhost"}, "challenge": request["challenge"]})
    assert tried(user, answer) == "passkey_invalid"


def test_add_passkey_refuses_after_two_minutes(user, clock):
    arguments = addition(user)
    clock.shift(timedelta(seconds=121))
    with refused("mfa_required"):
        services.add_passkey(**arguments)


@pytest.mark.parametrize("differs", [{"proof": None}, {"session": "another"}, {"name": "Another"}], ids=str)
def test_add_passkey_refuses_without_the_proof_for_it(user, differs):
    arguments = addition(user) | differs
    with refused("mfa_required"):
        services.add_passkey(**arguments)


def test_add_passkey_counts_once(user):
    arguments = addition(user)
    services.add_passkey(**arguments)
    with refused("mfa_required"):
        services.add_passkey(**arguments)


def removal(user, factor):
    proof = proof_for(user, "factor.removed", factor=factor.persistent_id)
    return lambda: services.remove_factor(actor=user, factor=factor, proof=proof, session=SESSION)


def test_remove_passkey_beside_an_app(user, key):
    TotpDeviceFactory(user=user)
    removal(user, Passkey.objects.get())()
    assert (Passkey.objects.count(), TotpDevice.objects.count(), Message.objects.count()) == (0, 1, 1)


def test_remove_the_only_app_beside_a_passkey(user, key):
    removal(user, TotpDeviceFactory(user=user))()
    assert (Passkey.objects.count(), TotpDevice.objects.count()) == (1, 0)


def test_remove_keeps_the_last_factor(user, key):
    last = removal(user, Passkey.objects.get())
    with refused("last_factor"):
        last()


def test_remove_refuses_a_passkey_of_somebody_else(user, key):
    TotpDeviceFactory(user=user)
    foreign = removal(user, passkey_of(UserFactory())[0])
    with refused("not_found"):
        foreign()


def test_proof_for_an_app_removes_no_passkey_with_its_number(user, key):
    app, row = TotpDeviceFactory(user=user), Passkey.objects.get()
    proof = proof_for(user, "factor.removed", factor=app.persistent_id)
    with refused("mfa_required"):
        services.remove_factor(actor=user, factor=row, proof=proof, session=SESSION)


def renaming(user, row, name, *, proved_for="Blue key"):
    proof = proof_for(user, "passkey.renamed", factor=row.persistent_id, name=proved_for)
    return lambda: services.rename_passkey(actor=user, passkey=row, name=name, proof=proof, session=SESSION)


def test_rename_passkey_is_told_and_kept_in_the_audit(user, key):
    row = Passkey.objects.get()
    before = row.name
    renaming(user, row, "Blue key")()
    row.refresh_from_db()
    event = Event.objects.get()
    assert (row.name, Message.objects.count()) == ("Blue key", 1)
    assert (event.action, event.facts["before"], event.facts["after"]) == (
        "passkey.renamed",
        {"name": before},
        {"name": "Blue key"},
    )


def test_rename_refuses_a_proof_for_another_name(user, key):
    another = renaming(user, Passkey.objects.get(), "Red key")
    with refused("mfa_required"):
        another()


def test_rename_refuses_a_passkey_of_somebody_else(user, key):
    foreign = renaming(user, passkey_of(UserFactory())[0], "Blue key")
    with refused("not_found"):
        foreign()


@pytest.mark.parametrize("name", [" ", "x" * 65])
def test_rename_refuses_the_name(user, key, name):
    row = Passkey.objects.get()
    with pytest.raises(ValidationError):
        renaming(user, row, name, proved_for=name)()
    assert Passkey.objects.get().name == row.name


def test_enrolment_link_replaces_passkeys_too(user, key):
    secret = services.issue_ticket(user=user, actor=None)
    app = TotpDeviceFactory.build()
    arguments = {"password": "a long and fictional password", "encrypted_key": app.encrypted_key}
    services.enrol(secret=secret, code=code_of(app), **arguments)
    assert not Passkey.objects.exists()


def test_unanswered_challenges_are_forgotten(user, key, clock):
    ask(user)
    clock.shift(timedelta(days=1, seconds=1))
    forget_due()
    assert not PasskeyChallenge.objects.exists()


def test_origin_of_the_tests_is_that_of_the_site(settings):
    assert (settings.PASSKEY_HOST, settings.PASSKEY_ORIGIN) == ("localhost", ORIGIN)
