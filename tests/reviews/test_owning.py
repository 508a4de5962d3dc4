"""Owners of a resource review what is held there and beneath: what they decide about, and nothing else."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse
from django.utils.timezone import now

from assignments.models import EligibleAssignment
from audit.models import Event
from notifications.models import Message
from reviews import services
from reviews.models import Definition, Instance
from reviews.tasks import apply_due
from roles.models import Role
from roles.services import govern_group
from tests.client import signed_in
from tests.factories import (
    ActiveFactory,
    EligibleFactory,
    GroupFactory,
    ResourceFactory,
    RoleFactory,
    UserFactory,
    holder_of,
)
from tests.refusals import refused
from tests.reviews.making import begun, ended, say, series, stage, terms

pytestmark = pytest.mark.django_db


TIMES = ("planned_at", "began_at", "ends_at")


@pytest.fixture
def finance():
    return ResourceFactory(name="Finance")


@pytest.fixture
def owner(finance):
    return ActiveFactory(role=RoleFactory(resource=finance, owns_resource=True)).user


def defined(owner, scope, *stages, **values):
    return services.define(actor=owner, terms=terms(*stages, **{"covers": "resource", "scope": scope} | values))


def test_owner_reviews_what_is_beneath_and_takes_it_away(owner, finance):
    held = EligibleFactory(role=RoleFactory(resource=finance), scope=ResourceFactory(parent=finance))
    made = defined(owner, finance, stage(people=(reviewer := UserFactory(),)))
    review = begun(made)
    say(review, reviewer, "denied", review.items.get(user=held.user))
    review = services.stop(instance=review, actor=owner, justification="Enough is known.")

    services.request_application(instance=review, actor=owner, justification="Looked at it.")
    apply_due()

    assert made.of_owners
    assert not EligibleAssignment.objects.lasting(now()).exists()


@pytest.mark.parametrize(
    "values",
    [
        {"scope": "elsewhere"},
        {"scope": None, "covers": "roles"},
        {"scope": "own", "covers": "groups", "groups": "some"},
    ],
)
def test_owner_defines_nothing_that_reaches_further(owner, finance, values):
    scope = {"elsewhere": ResourceFactory(), "own": finance}.get(values["scope"])
    groups = (GroupFactory(),) if "groups" in values else ()

    asked = terms(covers=values.get("covers", "resource"), scope=scope, groups=groups)

    with refused("not_allowed"):
        services.define(actor=owner, terms=asked)


def test_series_of_an_owner_leaves_out_what_owners_do_not_decide(owner, finance):
    """A role that gives rights in this site, who is in a group, and who may join one for a time."""
    beneath = EligibleFactory(role=RoleFactory(resource=finance))
    EligibleFactory(role=Role.objects.built_in(Role.HELPDESK_ADMINISTRATOR), scope=finance)
    group = GroupFactory(members=[UserFactory()])
    EligibleFactory(user=None, group=group, role=beneath.role)
    place = govern_group(group=group, actor=None)
    EligibleFactory(role=Role.objects.get(resource=place, group_part="member"), scope=place)

    review = begun(defined(owner, finance))

    found = {(item.user.username, item.kind) for item in review.items.described()}
    assert found == {
        (beneath.user.username, "eligible"),
        (owner.username, "active"),
    }


def test_role_that_became_more_than_owners_decide_is_left_to_be_done_by_hand(owner, finance):
    held = EligibleFactory(role=(role := RoleFactory(resource=finance)))
    review = begun(defined(owner, finance, stage(people=(reviewer := UserFactory(),)), applies_itself=True))
    say(review, reviewer, "denied", review.items.get(user=held.user))
    role.permissions.add(Permission.objects.get(codename="view_event"))

    ended(review)
    apply_due()

    item = review.items.get(user=held.user)
    assert (item.result, item.result_code) == ("by_hand", "out_of_reach")
    assert EligibleAssignment.objects.lasting(now()).get() == held


def test_owner_sees_of_a_person_what_is_beneath_and_nothing_else(client, owner, finance):
    signed_in(client, reviewer := UserFactory())
    seen = {"last_sign_in_at": now(), "display_name": "Somebody"}
    held = EligibleFactory(role=RoleFactory(resource=finance), user=UserFactory(**seen))
    beside = EligibleFactory(role=RoleFactory(resource=finance, name="Beside"), user=held.user)
    EligibleFactory(role=RoleFactory(name="Elsewhere"), user=held.user)
    EligibleFactory(role=Role.objects.built_in(Role.HELPDESK_ADMINISTRATOR), scope=finance, user=held.user)
    review = begun(defined(owner, finance, stage(people=(reviewer,)), covers="roles", roles=(held.role,)))

    shown = client.get(reverse("reviews:review-detail", args=[review.pk]))

    ((item, others, *_rest),) = shown.context["rows"]
    assert others == [f"{beside.role} · {finance}"]
    assert (item.last_sign_in_at, item.cause) == (None, "new")
    assert "signed in" not in shown.content.decode()


def test_owner_runs_no_series_of_administrators(owner, finance):
    EligibleFactory(role=RoleFactory(resource=finance))
    made = series(covers="resource", scope=finance)
    review = begun(made)

    with refused("not_allowed"):
        services.stop(instance=review, actor=owner, justification="Enough.")
    assert not Definition.objects.visible_to(owner, review.began_at).exists()
    assert not Instance.objects.open_to(owner, review.began_at).exists()


def test_owner_does_not_move_a_series_to_another_place(owner, finance):
    made = defined(owner, finance)
    elsewhere = replace(services.terms_of(made), scope=ResourceFactory())

    with refused("not_allowed"):
        services.change(definition=made, actor=owner, terms=elsewhere)


@pytest.mark.parametrize("covers", ["groups", "resource", "roles"])
def test_series_of_owners_stays_at_its_resource(owner, finance, covers):
    made = defined(owner, finance)
    elsewhere = {"groups": finance, "resource": ResourceFactory(), "roles": None}[covers]
    values = {"covers": covers, "scope": elsewhere, "groups": (GroupFactory(),), "roles": (RoleFactory(),)}

    with refused("scope_invalid"):
        services.change(definition=made, actor=None, terms=replace(services.terms_of(made), **values))


def test_owner_sees_no_series_about_groups(owner, finance):
    made = defined(owner, finance)
    Definition.objects.update(covers="groups")

    assert not Definition.objects.visible_to(owner, made.created_at).exists()


def test_who_owns_no_more_runs_no_more(owner, finance):
    made = defined(owner, finance)
    owner.active_assignments.update(ends_at=made.created_at)

    with refused("not_allowed"):
        services.discontinue(definition=made, actor=owner, justification="Done.")


def owns_no_more(owner):
    owner.active_assignments.update(ends_at=owner.active_assignments.get().starts_at + timedelta(seconds=1))


def test_review_of_who_owns_no_more_is_left_out(owner, finance):
    EligibleFactory(role=RoleFactory(resource=finance))
    made = defined(owner, finance)
    other = ActiveFactory(role=RoleFactory(resource=finance, owns_resource=True)).user
    owns_no_more(owner)

    with refused("maker_gone"):
        services.hasten(definition=made, actor=other, justification="Now.")
    assert services.prepare(definition=made) is None
    skipped = Event.objects.get(action="review.skipped", target_id=made.pk)
    assert (skipped.facts["after"]["number"], skipped.facts["after"]["cause"]) == (1, "maker_gone")


def test_results_of_who_owns_no_more_wait_for_somebody_who_does(owner, finance):
    held = EligibleFactory(role=RoleFactory(resource=finance))
    other = ActiveFactory(role=RoleFactory(resource=finance, owns_resource=True)).user
    made = defined(owner, finance, stage(people=(reviewer := UserFactory(),)), applies_itself=True, told=(owner, other))
    review = begun(made)
    say(review, reviewer, "denied", review.items.get(user=held.user))
    owns_no_more(owner)

    review = ended(review)

    told = Message.objects.filter(kind="review_closed").values_list("user_id", flat=True)
    assert (review.state, list(told)) == ("completed", [other.pk])
    assert not Instance.objects.open_to(owner, review.ended_at).exists()
    services.request_application(instance=review, actor=other, justification="Looked at it.")


def test_narrowed_series_whose_resource_is_gone_reviews_nothing(finance):
    EligibleFactory(role=(role := RoleFactory()))
    made = series(roles=(role,), scope=finance)
    Definition.objects.update(scope=None)

    assert begun(Definition.objects.get(pk=made.pk)).items.count() == 0


def test_owner_defines_and_runs_in_the_console(client, owner, finance):
    signed_in(client, owner)
    other = series(covers="resource", scope=finance)
    review = begun(defined(owner, finance))

    assert client.get(reverse("admin:reviews_definition_add")).status_code == 200
    shown = client.get(reverse("admin:reviews_definition_changelist")).context["cl"].queryset
    assert list(shown) == [review.definition]
    assert client.get(reverse("admin:reviews_instance_stop", args=[review.pk])).status_code == 200
    assert client.get(reverse("admin:reviews_definition_change", args=[other.pk])).status_code == 302


# --- results, for those who run a review or are told ----------------------------------------------------------


def page(client, review, what="results"):
    return client.get(reverse(f"reviews:review-{what}", args=[review.pk]))


def test_who_is_told_reads_the_results_when_it_has_ended(client):
    signed_in(client, told := UserFactory())
    review = begun(series(roles=(EligibleFactory().role,), told=(told,)))

    before = page(client, review).status_code
    review = ended(review)
    after = page(client, review)

    assert (before, after.status_code, after.context["sees"], after.context["runs"]) == (404, 200, False, False)
    assert str(review.items.get().user) in after.content.decode()
    assert page(client, review, "csv").status_code == page(client, review, "evidence").status_code == 200
    assert list(client.get(reverse("reviews:review-list")).context["results"]) == [review]


def test_owner_sees_how_far_reviewers_are_and_reminds_them(client, owner, finance):
    EligibleFactory(role=RoleFactory(resource=finance))
    signed_in(client, owner)
    review = begun(defined(owner, finance, stage(people=(reviewer := UserFactory(),))))

    assert [(who, far.left) for who, far in page(client, review).context["reviewers"]] == [(reviewer, 2)]
    answer = client.post(reverse("reviews:review-remind", args=[review.pk]), follow=True)
    assert "1 reviewer is reminded." in answer.content.decode()


def test_no_reviewer_and_no_result_is_left_out(client):
    """Of more than a page holds, the next page has the rest; the console leads there."""
    signed_in(client, holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR))
    role = EligibleFactory().role
    review = begun(made := series(stage(people=tuple(UserFactory.create_batch(22))), roles=(role,)))
    for number in range(2, 23):
        Instance.objects.create(definition=made, number=number, state="applied", **dict.fromkeys(TIMES, now()))

    def names(url, context, **query):
        return {str(each) for each in client.get(url, query).context[context]}

    results, listed = reverse("reviews:review-results", args=[review.pk]), reverse("reviews:review-list")
    assert len(names(results, "reviewers") | names(results, "reviewers", reviewers=2)) == 22
    assert len(names(listed, "results") | names(listed, "results", results=2)) == 22
    assert "?show=x&amp;reviewers=2" in client.get(results, {"show": "x"}).content.decode()
    (section, _items) = client.get(reverse("admin:reviews_instance_change", args=[review.pk])).context["sections"]
    assert (len(section.rows), section.more) == (20, results)


def test_maker_without_the_right_is_not_told(finance):
    maker = holder_of(Role.PRIVILEGED_ROLE_ADMINISTRATOR)
    review = begun(services.define(actor=maker, terms=terms(roles=(EligibleFactory().role,))))
    maker.active_assignments.update(ends_at=review.began_at)

    ended(review)

    assert not Message.objects.filter(kind="review_closed", user_id=maker.pk).exists()
    assert not Instance.objects.open_to(maker, review.ends_at).exists()
