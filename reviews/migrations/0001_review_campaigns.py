import datetime
import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import accounts.models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("accounts", "0005_browser_sessions"),
        ("assignments", "0003_emergency_access_is_marked"),
        ("roles", "0011_emergency_access"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Definition",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=150, verbose_name="name")),
                ("description", models.TextField(blank=True, max_length=2000, verbose_name="description")),
                (
                    "covers",
                    models.CharField(
                        choices=[
                            ("roles", "roles"),
                            ("resource", "a resource and what is beneath it"),
                            ("groups", "the members of groups"),
                        ],
                        default="roles",
                        max_length=10,
                        verbose_name="covers",
                    ),
                ),
                (
                    "principals",
                    models.CharField(
                        choices=[("person", "person"), ("service", "service account")],
                        default="person",
                        max_length=10,
                        verbose_name="principals",
                    ),
                ),
                (
                    "kinds",
                    models.CharField(
                        choices=[
                            ("both", "eligible and active"),
                            ("eligible", "eligible only"),
                            ("active", "active only"),
                        ],
                        default="both",
                        max_length=10,
                        verbose_name="assignments",
                    ),
                ),
                (
                    "inactive_days",
                    models.PositiveSmallIntegerField(
                        blank=True, null=True, verbose_name="only those inactive for days"
                    ),
                ),
                ("first_on", models.DateField(verbose_name="first day")),
                ("begins_at", models.TimeField(default=datetime.time(8, 0), verbose_name="time of day")),
                (
                    "time_zone",
                    models.CharField(default=accounts.models.default_zone, max_length=64, verbose_name="time zone"),
                ),
                (
                    "recurrence",
                    models.CharField(
                        choices=[
                            ("once", "once"),
                            ("weekly", "weekly"),
                            ("monthly", "monthly"),
                            ("quarterly", "quarterly"),
                            ("half_yearly", "half-yearly"),
                            ("yearly", "yearly"),
                        ],
                        default="once",
                        max_length=12,
                        verbose_name="recurrence",
                    ),
                ),
                ("ends_on", models.DateField(blank=True, null=True, verbose_name="last day")),
                ("count", models.PositiveSmallIntegerField(blank=True, null=True, verbose_name="how many")),
                (
                    "no_answer",
                    models.CharField(
                        choices=[
                            ("no_change", "change nothing"),
                            ("remove", "remove the access"),
                            ("approve", "keep the access"),
                            ("recommendation", "do what was recommended"),
                        ],
                        default="no_change",
                        max_length=15,
                        verbose_name="without an answer",
                    ),
                ),
                ("applies_itself", models.BooleanField(default=False, verbose_name="apply by itself")),
                ("reason_required", models.BooleanField(default=True, verbose_name="reason required")),
                ("recommends", models.BooleanField(default=True, verbose_name="recommendations")),
                ("look_back_days", models.PositiveSmallIntegerField(default=30, verbose_name="look back, in days")),
                ("mails", models.BooleanField(default=True, verbose_name="mail to reviewers")),
                ("reminds", models.BooleanField(default=True, verbose_name="reminders")),
                ("words", models.TextField(blank=True, max_length=2000, verbose_name="words for reviewers")),
                ("created_at", models.DateTimeField(editable=False, verbose_name="defined")),
                ("next_number", models.PositiveIntegerField(default=1, editable=False)),
                ("next_at", models.DateTimeField(editable=False, null=True, verbose_name="next review")),
                ("discontinued_at", models.DateTimeField(editable=False, null=True, verbose_name="discontinued")),
                (
                    "created_by",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="defined by",
                    ),
                ),
                (
                    "groups",
                    models.ManyToManyField(blank=True, related_name="+", to="accounts.group", verbose_name="groups"),
                ),
                ("roles", models.ManyToManyField(blank=True, related_name="+", to="roles.role", verbose_name="roles")),
                (
                    "scope",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="roles.resource",
                        verbose_name="resource",
                    ),
                ),
                (
                    "told",
                    models.ManyToManyField(
                        blank=True, related_name="+", to=settings.AUTH_USER_MODEL, verbose_name="told at the end"
                    ),
                ),
            ],
            options={
                "verbose_name": "access review series",
                "verbose_name_plural": "access review series",
                "ordering": ["name"],
                "default_permissions": ("add", "change", "view"),
            },
        ),
        migrations.CreateModel(
            name="Instance",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField(verbose_name="number")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("starting", "starting"),
                            ("in_progress", "in progress"),
                            ("completed", "completed"),
                            ("applying", "applying"),
                            ("applied", "applied"),
                        ],
                        default="starting",
                        max_length=12,
                        verbose_name="state",
                    ),
                ),
                ("planned_at", models.DateTimeField(verbose_name="planned for")),
                ("began_at", models.DateTimeField(verbose_name="began")),
                ("stage", models.PositiveSmallIntegerField(default=0, verbose_name="stage")),
                ("stage_began_at", models.DateTimeField(null=True)),
                ("stage_ends_at", models.DateTimeField(null=True, verbose_name="stage ends")),
                ("ends_at", models.DateTimeField(verbose_name="ends")),
                ("remind_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                ("was_stopped", models.BooleanField(default=False, verbose_name="stopped")),
                ("applied_at", models.DateTimeField(null=True, verbose_name="applied at")),
                ("walk", models.CharField(blank=True, default="eligible", max_length=10)),
                ("walked_to", models.CharField(blank=True, max_length=40)),
                (
                    "definition",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="instances",
                        to="reviews.definition",
                        verbose_name="series",
                    ),
                ),
            ],
            options={
                "verbose_name": "access review",
                "verbose_name_plural": "access reviews",
                "ordering": ["-began_at"],
                "permissions": [
                    ("run_instance", "Can stop, clear, apply and reassign access reviews, and remind reviewers")
                ],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Item",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("eligible", "eligible"), ("active", "active"), ("membership", "member of a group")],
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("gives", models.TextField(blank=True, verbose_name="gives")),
                ("is_privileged", models.BooleanField(default=False, verbose_name="privileged")),
                ("since", models.DateTimeField(null=True, verbose_name="since")),
                ("until", models.DateTimeField(null=True, verbose_name="until")),
                ("last_used_at", models.DateTimeField(null=True, verbose_name="last used")),
                ("last_sign_in_at", models.DateTimeField(null=True, verbose_name="last sign-in")),
                (
                    "recommendation",
                    models.CharField(
                        choices=[("keep", "keep"), ("remove", "remove"), ("none", "none")],
                        default="none",
                        max_length=10,
                        verbose_name="recommendation",
                    ),
                ),
                (
                    "cause",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("disabled", "the account is disabled"),
                            ("new", "assigned a short while ago, and not used yet"),
                            ("never_used", "never used since it was assigned"),
                            ("used", "used lately"),
                            ("not_used", "not used for a long time"),
                            ("signed_in", "signed in lately"),
                            ("never_signed_in", "never signed in"),
                            ("not_signed_in", "not signed in for a long time"),
                        ],
                        max_length=20,
                        verbose_name="because",
                    ),
                ),
                ("weight", models.PositiveSmallIntegerField(default=0)),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("approved", "keep"),
                            ("denied", "remove"),
                            ("dont_know", "don't know"),
                            ("not_reviewed", "not reviewed"),
                        ],
                        default="not_reviewed",
                        max_length=15,
                        verbose_name="answer",
                    ),
                ),
                ("verdict_stage", models.PositiveSmallIntegerField(default=0)),
                ("decided_at", models.DateTimeField(null=True, verbose_name="answered")),
                ("justification", models.TextField(blank=True, max_length=2000, verbose_name="reason")),
                ("is_settled", models.BooleanField(default=False)),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[("keep", "kept"), ("remove", "removed"), ("no_change", "nothing changed")],
                        max_length=10,
                        verbose_name="outcome",
                    ),
                ),
                (
                    "result",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("new", "still to be done"),
                            ("applied", "applied"),
                            ("gone", "gone already"),
                            ("protected", "protected: left as it is"),
                            ("by_hand", "to be done by hand"),
                            ("failed", "failed"),
                        ],
                        max_length=10,
                        verbose_name="result",
                    ),
                ),
                ("result_code", models.CharField(blank=True, max_length=64)),
                ("applied_at", models.DateTimeField(null=True, verbose_name="applied at")),
                (
                    "active_assignment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="assignments.activeassignment",
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="answered by",
                    ),
                ),
                (
                    "eligible_assignment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="assignments.eligibleassignment",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "instance",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="items",
                        to="reviews.instance",
                        verbose_name="review",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="roles.role",
                        verbose_name="role",
                    ),
                ),
                (
                    "scope",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="roles.resource",
                        verbose_name="scope",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "reviewed access",
                "verbose_name_plural": "reviewed accesses",
                "ordering": ["-weight", "since", "pk"],
                "default_permissions": ("view",),
            },
        ),
        migrations.CreateModel(
            name="Asked",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stage", models.PositiveSmallIntegerField()),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="asked", to="reviews.item"
                    ),
                ),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Answer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("stage", models.PositiveSmallIntegerField()),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("approved", "keep"),
                            ("denied", "remove"),
                            ("dont_know", "don't know"),
                            ("not_reviewed", "not reviewed"),
                        ],
                        max_length=15,
                    ),
                ),
                ("justification", models.TextField(blank=True, max_length=2000)),
                ("answered_at", models.DateTimeField()),
                (
                    "person",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "item",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="answers", to="reviews.item"
                    ),
                ),
            ],
            options={
                "ordering": ["pk"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Stage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveSmallIntegerField()),
                ("days", models.PositiveSmallIntegerField(verbose_name="days")),
                (
                    "reviewers",
                    models.CharField(
                        choices=[
                            ("named", "the people and groups named here"),
                            ("managers", "the manager of each person"),
                            ("owners", "the owners of the resource or group"),
                            ("themselves", "each person for themselves"),
                        ],
                        max_length=10,
                        verbose_name="reviewers",
                    ),
                ),
                (
                    "takes",
                    models.CharField(
                        choices=[("all", "everything"), ("undenied", "what was kept, or not answered, before")],
                        default="all",
                        max_length=10,
                        verbose_name="takes",
                    ),
                ),
                (
                    "definition",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="stages", to="reviews.definition"
                    ),
                ),
                (
                    "fallback",
                    models.ManyToManyField(
                        blank=True, related_name="+", to=settings.AUTH_USER_MODEL, verbose_name="fallback"
                    ),
                ),
                (
                    "groups",
                    models.ManyToManyField(blank=True, related_name="+", to="accounts.group", verbose_name="groups"),
                ),
                (
                    "people",
                    models.ManyToManyField(
                        blank=True, related_name="+", to=settings.AUTH_USER_MODEL, verbose_name="people"
                    ),
                ),
            ],
            options={
                "verbose_name": "stage",
                "ordering": ["number"],
                "default_permissions": (),
            },
        ),
        migrations.AddIndex(
            model_name="definition",
            index=models.Index(fields=["next_at"], name="definition_by_next"),
        ),
        migrations.AddConstraint(
            model_name="definition",
            constraint=models.CheckConstraint(
                condition=models.Q(("discontinued_at", None), ("next_at", None), _connector="OR"),
                name="definition_discontinued_has_no_next",
            ),
        ),
        migrations.AddIndex(
            model_name="instance",
            index=models.Index(fields=["state", "stage_ends_at"], name="instance_by_state"),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.UniqueConstraint(fields=("definition", "number"), name="instance_one_per_number"),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["starting", "in_progress"])),
                fields=("definition",),
                name="instance_one_open_per_definition",
            ),
        ),
        migrations.AddConstraint(
            model_name="instance",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "in_progress"), _negated=True),
                    models.Q(("stage__gte", 1), ("stage_ends_at__isnull", False)),
                    _connector="OR",
                ),
                name="instance_in_progress_has_stage",
            ),
        ),
        migrations.AddIndex(
            model_name="item",
            index=models.Index(fields=["instance", "-weight"], name="item_worst_first"),
        ),
        migrations.AddIndex(
            model_name="item",
            index=models.Index(fields=["instance", "result"], name="item_by_result"),
        ),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.UniqueConstraint(
                fields=("instance", "eligible_assignment"), name="item_one_per_eligible"
            ),
        ),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.UniqueConstraint(fields=("instance", "active_assignment"), name="item_one_per_active"),
        ),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.UniqueConstraint(fields=("instance", "user", "group"), name="item_one_per_membership"),
        ),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("active_assignment", None),
                        ("eligible_assignment__isnull", False),
                        ("group", None),
                        ("kind", "eligible"),
                    ),
                    models.Q(
                        ("active_assignment__isnull", False),
                        ("eligible_assignment", None),
                        ("group", None),
                        ("kind", "active"),
                    ),
                    models.Q(
                        ("active_assignment", None),
                        ("eligible_assignment", None),
                        ("group__isnull", False),
                        ("kind", "membership"),
                    ),
                    _connector="OR",
                ),
                name="item_is_one_access",
            ),
        ),
        migrations.AddConstraint(
            model_name="item",
            constraint=models.CheckConstraint(
                condition=models.Q(("result", ""), ("outcome", "remove"), _connector="OR"),
                name="item_result_only_of_removals",
            ),
        ),
        migrations.AddConstraint(
            model_name="asked",
            constraint=models.UniqueConstraint(fields=("item", "stage", "person"), name="asked_once_per_stage"),
        ),
        migrations.AddConstraint(
            model_name="stage",
            constraint=models.UniqueConstraint(fields=("definition", "number"), name="reviewstage_one_per_number"),
        ),
        migrations.AddConstraint(
            model_name="stage",
            constraint=models.CheckConstraint(condition=models.Q(("days__gte", 1)), name="reviewstage_lasts_a_day"),
        ),
    ]
