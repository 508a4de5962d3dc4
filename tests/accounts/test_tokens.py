"""API tokens: how they look, who makes them, which count, and when they end."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from accounts.models import ApiToken
from accounts.services import create_token, enrol, issue_ticket, recognise, revoke_token, rotate_token, token_facts
from accounts.tokens import LONGEST_LIFE, Scope, comes_from, key_of, networks_of, new_token
from assignments.services import disable_person, enable_person
from audit.models import Event
from notifications.models import Message
from roles.models import Role
from tests.factories import (
    PASSWORD,
    TokenFactory,
    TotpDeviceFactory,
    UserFactory,
    code_of,
    holder_of,
    proof_for,
)
from tests.refusals import code_of_refusal, refused

pytestmark = pytest.mark.django_db
SESSION = "this session"
ASKED = {"name": "Laptop", "scopes": ["read"], "lifetime": timedelta(days=7)}


def made(user, actor=None, **differs):
    """A token that was made with a proof for just it."""
    asked, actor = ASKED | differs, actor or user
    proof = proof_for(actor, "token.created", **token_facts(user=user, **asked))
    return create_token(user=user, actor=actor, proof=proof, session=SESSION, **asked)


def asking(user, actor=None):
    """All of making a token but the proof."""
    return create_token(user=user, actor=actor or user, validate_only=True, **ASKED)


# --- how they look --------------------------------------------------------------------------------------------


def test_tokens_have_a_prefix_a_key_and_a_sum():
    text, key = new_token()

    assert (text[:21], key_of(text)) == (f"pim_{key}_", key)


@pytest.mark.parametrize("place", [0, 5, 30, 80])
def test_token_with_one_letter_changed_is_none(place):
    text, _key = new_token()
    other = "a" if text[place] != "a" else "b"

    assert key_of(text[:place] + other + text[place + 1 :]) == ""


def test_token_is_kept_as_a_digest_only():
    text = made(UserFactory())

    (row,) = ApiToken.objects.values()
    assert not [value for value in row.values() if str(value) in text and len(str(value)) > 16]
    kept = [*Event.objects.values_list("canonical", flat=True), *Message.objects.values_list("context", flat=True)]
    assert not [each for each in kept if text in each]


# --- making ---------------------------------------------------------------------------------------------------


def test_own_token_made_with_proof_and_told_by_mail():
    user = UserFactory()

    text = made(user, scopes=["read", "activate", "read"], networks=["192.0.2.7", "2001:db8::/32"])

    token = recognise(text, address="192.0.2.7")
    assert (token.user, token.name, token.scopes) == (user, "Laptop", "activate read")
    assert (token.networks, token.lifetime) == ("192.0.2.7/32 2001:db8::/32", timedelta(days=7))
    assert list(Message.objects.values_list("kind", "user_id")) == [("factors_changed", user.pk)]


def test_proof_of_another_token_refused():
    user = UserFactory()
    proof = proof_for(user, "token.created", **token_facts(user=user, **ASKED))

    with refused("mfa_required"):
        create_token(user=user, actor=user, proof=proof, session=SESSION, **ASKED | {"scopes": ["audit"]})


@pytest.mark.parametrize(
    ("differs", "code"),
    [
        ({"scopes": []}, "scopes_invalid"),
        ({"scopes": ["read", "all"]}, "scopes_invalid"),
        ({"lifetime": LONGEST_LIFE + timedelta(seconds=1)}, "lifetime_invalid"),
        ({"lifetime": timedelta(minutes=4)}, "lifetime_invalid"),
        ({"networks": ["192.0.2.1/24"]}, "network_invalid"),
        ({"networks": ["example.org"]}, "network_invalid"),
        ({"name": " "}, "blank"),
        ({"name": "a" * 101}, "max_length"),
    ],
)
def test_token_that_cannot_be_refused_before_the_proof(differs, code):
    user = UserFactory()

    with refused(code):
        create_token(user=user, actor=user, validate_only=True, **ASKED | differs)


def test_token_of_somebody_else_refused_also_to_administrators():
    user, administrator = UserFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)

    with refused("not_allowed"):
        asking(user, administrator)


def test_service_account_gets_tokens_from_who_gives_out_power_only():
    service, helpdesk = UserFactory(kind="service"), holder_of(Role.HELPDESK_ADMINISTRATOR)
    text = made(service, holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR))

    with refused("not_allowed"):
        asking(service, helpdesk)

    assert recognise(text, address="").user == service


def test_service_account_makes_no_tokens_for_itself():
    service = UserFactory(kind="service")

    with refused("not_allowed"):
        asking(service)


def test_more_than_fifty_open_tokens_refused():
    user = UserFactory()
    TokenFactory.create_batch(50, user=user)
    TokenFactory(user=user, revoked_at=now())

    with refused("too_many_tokens"):
        asking(user)


# --- what counts ----------------------------------------------------------------------------------------------


def dead():
    at = now()
    return {
        "over": TokenFactory(expires_at=at).text,
        "revoked": TokenFactory(revoked_at=at).text,
        "of a disabled person": TokenFactory(user__is_active=False).text,
        "made up": new_token()[0],
        "no token": "Bearer",
    }


def test_tokens_that_do_not_count_are_refused_alike():
    codes = {name: code_of_refusal(recognise, text, address="192.0.2.1") for name, text in dead().items()}

    assert codes == dict.fromkeys(codes, "token_invalid")


def test_right_key_with_another_secret_refused():
    token, (other, key) = TokenFactory(), new_token()
    ApiToken.objects.filter(pk=token.pk).update(key=key)

    assert code_of_refusal(recognise, other, address="") == "token_invalid"


@pytest.mark.parametrize(
    ("address", "counts"),
    [("192.0.2.9", True), ("::ffff:192.0.2.9", True), ("192.0.3.1", False), ("2001:db8::1", True), ("", False)],
)
def test_token_counts_from_its_networks_only(address, counts):
    token = TokenFactory(networks="192.0.2.0/24 2001:db8::/32")

    code = code_of_refusal(recognise, token.text, address=address)

    assert code == (None if counts else "address_refused")


def test_token_without_networks_counts_from_anywhere():
    assert comes_from("203.0.113.4", "")
    assert networks_of(" \n") == []


def test_use_is_noted_once_a_minute(time_machine, django_assert_num_queries):
    token, at = TokenFactory(), now()
    time_machine.move_to(at, tick=False)
    with django_assert_num_queries(2):
        recognise(token.text, address="192.0.2.1")
    time_machine.move_to(at + timedelta(seconds=59), tick=False)
    with django_assert_num_queries(1):
        recognise(token.text, address="192.0.2.2")
    token.refresh_from_db()
    assert (token.last_used_at, token.last_address) == (at, "192.0.2.1")


# --- ending ---------------------------------------------------------------------------------------------------


def test_rotated_token_goes_on_for_the_overlap_and_no_longer(time_machine):
    token, at = TokenFactory(networks="192.0.2.0/24"), now()
    time_machine.move_to(at, tick=False)
    overlap = timedelta(hours=1)
    proof = proof_for(token.user, "token.rotated", token=token.pk, overlap=overlap)

    text = rotate_token(token=token, actor=token.user, overlap=overlap, proof=proof, session=SESSION)

    new = recognise(text, address="192.0.2.1")
    assert (new.name, new.scopes, new.networks, new.replaces) == (token.name, token.scopes, token.networks, token)
    assert new.lifetime == timedelta(days=30)
    assert code_of_refusal(recognise, token.text, address="192.0.2.1") is None
    time_machine.move_to(at + overlap, tick=False)
    assert code_of_refusal(recognise, token.text, address="192.0.2.1") == "token_invalid"


def test_token_rotated_without_overlap_ends_at_once():
    token = TokenFactory()

    rotate_token(token=token, actor=None, overlap=timedelta(0))

    assert code_of_refusal(recognise, token.text, address="") == "token_invalid"


def test_overlap_never_lengthens_the_former_token():
    token = TokenFactory(expires_at=now() + timedelta(hours=1))
    end = token.expires_at

    rotate_token(token=token, actor=None, overlap=timedelta(days=7))

    token.refresh_from_db()
    assert token.expires_at == end


def test_token_revoked_by_helpdesk_and_by_nobody_without_a_right():
    token, other = TokenFactory(), TokenFactory()

    revoke_token(token=token, actor=holder_of(Role.HELPDESK_ADMINISTRATOR))
    stranger = UserFactory()
    with refused("not_allowed"):
        revoke_token(token=other, actor=stranger)

    assert code_of_refusal(recognise, token.text, address="") == "token_invalid"
    with refused("already_ended"):
        revoke_token(token=token, actor=token.user)


def test_tokens_end_with_the_account_and_do_not_come_back_with_it():
    token, administrator = TokenFactory(), holder_of(Role.GLOBAL_ADMINISTRATOR)
    reason = {"actor": administrator, "justification": "Long leave."}

    disable_person(user=token.user, **reason)
    enable_person(user=token.user, **reason)

    assert code_of_refusal(recognise, token.text, address="") == "token_invalid"


def test_tokens_of_one_disabled_past_the_product_do_not_come_back():
    token = TokenFactory(user__is_active=False)

    enable_person(user=token.user, actor=holder_of(Role.GLOBAL_ADMINISTRATOR), justification="Back again.")

    assert code_of_refusal(recognise, token.text, address="") == "token_invalid"


def test_tokens_end_by_an_enrolment():
    token, app = TokenFactory(), TotpDeviceFactory.build()
    secret = issue_ticket(user=token.user, actor=None)

    enrol(secret=secret, password=PASSWORD, encrypted_key=app.encrypted_key, code=code_of(app))

    assert code_of_refusal(recognise, token.text, address="") == "token_invalid"


def test_visible_tokens_are_ones_own_and_for_who_issues_them_those_of_services():
    own, service = TokenFactory(), TokenFactory(user__kind="service")
    TokenFactory()
    administrator = holder_of(Role.GLOBAL_ADMINISTRATOR)

    assert set(ApiToken.objects.visible_to(own.user)) == {own}
    assert set(ApiToken.objects.visible_to(administrator)) == {service}


def test_every_scope_fits_its_column():
    assert len(" ".join(Scope.values)) <= ApiToken._meta.get_field("scopes").max_length
