"""The cast: people, roles and assignments, made as the product would find them, without going through its doors."""

import uuid
from datetime import timedelta

import factory
import pyotp
from django.contrib.auth.hashers import make_password
from django.utils.timezone import now
from factory.django import DjangoModelFactory

from accounts import factors
from accounts.models import ApiToken, Group, StepUpProof, TotpDevice, User
from accounts.rules import intent_digest
from accounts.tokens import Scope, new_token
from accounts.vault import sealed
from alerts.models import Alert, Incident
from approvals.models import EmergencyUse, Request
from assignments.models import ActiveAssignment, EligibleAssignment
from notifications.outgoing import new_secret
from notifications.snapshot import encode
from roles.hooks import Hook
from roles.models import Delegation, Resource, Role, RoleSettings
from roles.services import label_of, write_stages
from roles.stages import StageTerms
from webhooks.kinds import Kind
from webhooks.models import Delivery, Notice, Subscription

PASSWORD = "a long and fictional password"


def root():
    return Resource.objects.get(path="/")


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence("person{}".format)
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.org")
    display_name = factory.LazyAttribute(lambda user: user.username.capitalize())
    password = factory.LazyFunction(lambda: make_password(PASSWORD))


class GroupFactory(DjangoModelFactory):
    class Meta:
        model = Group
        skip_postgeneration_save = True

    name = factory.Sequence("Group {}".format)
    is_protected = True

    @factory.post_generation
    def members(self, create, extracted, **kwargs):
        if extracted:
            self.members.add(*extracted)


class TotpDeviceFactory(DjangoModelFactory):
    class Meta:
        model = TotpDevice

    user = factory.SubFactory(UserFactory)
    name = "Phone"
    encrypted_key = factory.LazyFunction(factors.new_key)


class TokenFactory(DjangoModelFactory):
    """An API token that counts for a month; its text is at `.text`."""

    class Meta:
        model = ApiToken

    user = factory.SubFactory(UserFactory)
    name = "Laptop"
    scopes = " ".join(sorted(Scope.values))
    created_at = factory.LazyFunction(lambda: now() - timedelta(minutes=1))
    expires_at = factory.LazyAttribute(lambda token: token.created_at + timedelta(days=30))

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        text, key = new_token()
        token = super()._create(model_class, *args, key=key, digest=factors.digest(text), **kwargs)
        token.text = text
        return token


class ResourceFactory(DjangoModelFactory):
    class Meta:
        model = Resource

    id = factory.LazyFunction(uuid.uuid4)
    parent = factory.LazyFunction(root)
    name = factory.Sequence("Resource {}".format)
    path = factory.LazyAttribute(lambda node: f"{node.parent.path}{node.id.hex}/")
    label = factory.LazyAttribute(lambda node: label_of(node.name, node.parent))


def stage(approvers=(), approver_groups=(), **terms):
    """What `save_settings` takes as a stage, and `RoleFactory` as one of `settings__stages`."""
    return StageTerms(approvers=tuple(approvers), approver_groups=tuple(approver_groups), **terms)


class RoleFactory(DjangoModelFactory):
    """A role; what is given as `settings__…` goes into its first settings, e.g. `settings__approval_required=True`.

    Approvers and groups make its only stage, unless there are `settings__stages`.
    """

    class Meta:
        model = Role
        skip_postgeneration_save = True

    resource = factory.LazyFunction(root)
    name = factory.Sequence("Role {}".format)

    @factory.post_generation
    def settings(self, create, extracted, approvers=(), approver_groups=(), stages=None, **values):
        version = RoleSettings.objects.create(
            role=self, scope=self.resource, **{"created_at": now(), "activation_authentication": "none"} | values
        )
        write_stages(version, stages or [stage(approvers, approver_groups)])


class HookFactory(DjangoModelFactory):
    class Meta:
        model = Hook

    name = factory.Sequence("Hook {}".format)
    url = "https://192.0.2.1/pim"  # an address that nobody has, and that is never called
    secret = factory.LazyFunction(lambda: sealed(new_secret().encode()))
    created_at = factory.LazyFunction(now)
    secret_made_at = factory.LazyFunction(now)


class DelegationFactory(DjangoModelFactory):
    """From now on, for a day."""

    class Meta:
        model = Delegation

    delegator = factory.SubFactory("tests.factories.UserFactory")
    delegate = factory.SubFactory("tests.factories.UserFactory")
    starts_at = factory.LazyFunction(now)
    ends_at = factory.LazyAttribute(lambda row: row.starts_at + timedelta(days=1))
    created_at = factory.SelfAttribute("starts_at")


class SubscriptionFactory(DjangoModelFactory):
    """Told of everything, from now on."""

    class Meta:
        model = Subscription

    name = factory.Sequence("Subscription {}".format)
    url = "https://192.0.2.1/pim"  # an address that nobody has, and that is never called
    kinds = " ".join(Kind.values)
    owner = factory.SubFactory(UserFactory)
    secret = factory.LazyFunction(lambda: sealed(new_secret().encode()))
    created_at = factory.LazyFunction(now)
    since = factory.LazyFunction(now)
    secret_made_at = factory.LazyFunction(now)


class NoticeFactory(DjangoModelFactory):
    class Meta:
        model = Notice

    id = factory.LazyFunction(uuid.uuid4)
    event_id = factory.Sequence(lambda number: 10**9 + number)
    kind = Kind.ASSIGNMENT_STARTED
    at = factory.LazyFunction(now)
    body = "{}"


class DeliveryFactory(DjangoModelFactory):
    class Meta:
        model = Delivery

    subscription = factory.SubFactory(SubscriptionFactory)
    notice = factory.SubFactory(NoticeFactory)
    next_attempt_at = factory.LazyFunction(now)
    settled_at = factory.LazyAttribute(lambda row: None if row.state == "pending" else now())
    state = "pending"


class _AssignmentFactory(DjangoModelFactory):
    class Meta:
        abstract = True

    user = factory.SubFactory(UserFactory)
    role = factory.SubFactory(RoleFactory)
    scope = factory.LazyAttribute(lambda row: row.role.resource)
    starts_at = factory.LazyFunction(lambda: (now() - timedelta(minutes=1)).replace(microsecond=0))
    created_at = factory.LazyAttribute(lambda row: row.starts_at)


class EligibleFactory(_AssignmentFactory):
    class Meta:
        model = EligibleAssignment


class ActiveFactory(_AssignmentFactory):
    class Meta:
        model = ActiveAssignment


class ActivationFactory(ActiveFactory):
    """A role activated an instant ago for an hour."""

    eligible_assignment = factory.SubFactory(EligibleFactory)
    user = factory.SelfAttribute("eligible_assignment.user")
    role = factory.SelfAttribute("eligible_assignment.role")
    ends_at = factory.LazyAttribute(lambda row: row.starts_at + timedelta(hours=1))


class EmergencyUseFactory(DjangoModelFactory):
    """Emergency access that somebody took an instant ago, and nobody has reviewed."""

    class Meta:
        model = EmergencyUse

    request = factory.SubFactory("tests.factories.RequestFactory", status="provisioned", stage=None, expires_at=None)
    user = factory.SelfAttribute("request.user")
    used_at = factory.LazyFunction(now)
    review_by = factory.LazyAttribute(lambda row: row.used_at + timedelta(days=7))


class IncidentFactory(DjangoModelFactory):
    """Somebody eligible who has not used it, found an instant ago."""

    class Meta:
        model = Incident
        exclude = ["about"]

    about = factory.SubFactory(EligibleFactory)
    alert = factory.LazyFunction(lambda: Alert.objects.get(key="unused_eligible"))
    key = factory.LazyAttribute(lambda row: str(row.about.pk))
    about_type = factory.LazyAttribute(lambda row: row.about._meta.label_lower)
    about_id = factory.LazyAttribute(lambda row: str(row.about.pk))
    facts = factory.LazyAttribute(lambda row: encode({"holder": row.about.user, "role": row.about.role}))
    raised_at = factory.LazyFunction(now)
    first_seen_at = factory.SelfAttribute("raised_at")
    last_seen_at = factory.SelfAttribute("raised_at")


class RequestFactory(DjangoModelFactory):
    """An activation that waits for its approvers."""

    class Meta:
        model = Request

    action = Request.Action.SELF_ACTIVATE
    status = Request.Status.PENDING_APPROVAL
    eligible_assignment = factory.SubFactory(EligibleFactory)
    user = factory.SelfAttribute("eligible_assignment.user")
    requester = factory.SelfAttribute("user")
    role = factory.SelfAttribute("eligible_assignment.role")
    scope = factory.SelfAttribute("eligible_assignment.scope")
    settings = factory.LazyAttribute(lambda row: RoleSettings.objects.applying_to(row.role, row.scope)[0])
    duration = timedelta(hours=1)
    justification = "The nightly job is stuck."
    requested_at = factory.LazyFunction(now)
    expires_at = factory.LazyAttribute(lambda row: row.requested_at + timedelta(hours=24))
    stage = 1


class ExtensionFactory(RequestFactory):
    """What somebody asked an administrator: to extend an eligible assignment."""

    action = Request.Action.SELF_EXTEND
    status = Request.Status.PENDING_ADMIN_DECISION
    duration = None
    expires_at = None
    stage = None


def code_of(device, *, steps=0):
    """The code that the person's app shows now, or so many steps of 30 s later."""
    return pyotp.TOTP(factors.shown_key(device.encrypted_key)).at(now() + timedelta(seconds=30 * steps))


def proof_for(user, action, *, session="this session", method="totp", **facts):
    """A second factor that `user` proved an instant ago, for just this."""
    return StepUpProof.objects.create(
        user=user,
        session_digest=factors.digest(session),
        intent_digest=intent_digest(action, **facts),
        method=method,
        created_at=now(),
    )


def holder_of(built_in_key, **kwargs):
    """Somebody who holds this built-in role in force, permanently."""
    role = Role.objects.built_in(built_in_key)
    return ActiveFactory(role=role, user=UserFactory(**kwargs)).user
