import uuid

import django.db.models.deletion
import django.db.models.functions.comparison
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import assignments.holders


class Migration(migrations.Migration):
    replaces = [
        ("approvals", "0001_requests_and_decisions"),
        ("approvals", "0002_requests_for_groups"),
        ("approvals", "0003_request_stages"),
        ("approvals", "0004_extensions_and_renewals"),
        ("approvals", "0005_voices_and_claims"),
        ("approvals", "0006_favourites_and_sets"),
        ("approvals", "0007_hook_calls"),
        ("approvals", "0008_prolonged_activations"),
        ("approvals", "0009_emergency_uses"),
    ]

    initial = True

    dependencies = [
        ("accounts", "0001_squashed_0005_browser_sessions"),
        ("assignments", "0001_squashed_0003_emergency_access_is_marked"),
        ("roles", "0001_squashed_0011_emergency_access"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Request",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "action",
                    models.CharField(
                        choices=[
                            ("admin_assign", "assign"),
                            ("admin_update", "change"),
                            ("admin_extend", "extend"),
                            ("admin_renew", "renew"),
                            ("admin_remove", "remove"),
                            ("self_activate", "activate"),
                            ("self_deactivate", "end early"),
                            ("self_extend", "ask to extend"),
                            ("self_renew", "ask to renew"),
                        ],
                        max_length=20,
                        verbose_name="action",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending_hook", "waiting for a check"),
                            ("pending_approval", "waiting for approval"),
                            ("pending_admin_decision", "waiting for an administrator"),
                            ("scheduled", "scheduled"),
                            ("provisioned", "granted"),
                            ("revoked", "taken away"),
                            ("denied", "denied"),
                            ("canceled", "canceled"),
                            ("timed_out", "timed out"),
                            ("failed", "failed"),
                        ],
                        max_length=30,
                        verbose_name="status",
                    ),
                ),
                ("starts_at", models.DateTimeField(null=True, verbose_name="wanted start")),
                ("ends_at", models.DateTimeField(null=True, verbose_name="wanted end")),
                ("duration", models.DurationField(null=True, verbose_name="duration")),
                ("justification", models.TextField(blank=True, max_length=2000, verbose_name="reason")),
                ("ticket", models.CharField(blank=True, max_length=100, verbose_name="ticket number")),
                ("ticket_system", models.CharField(blank=True, max_length=100, verbose_name="ticket system")),
                ("proved_with", models.CharField(blank=True, max_length=20, verbose_name="proved with")),
                ("requested_at", models.DateTimeField(verbose_name="asked")),
                ("expires_at", models.DateTimeField(null=True, verbose_name="to be decided by")),
                ("stage", models.PositiveSmallIntegerField(null=True, verbose_name="stage")),
                ("escalates_at", models.DateTimeField(null=True, verbose_name="others are asked")),
                ("escalated_at", models.DateTimeField(null=True, verbose_name="others were asked")),
                ("remind_at", models.DateTimeField(null=True, verbose_name="reminder")),
                ("claimed_at", models.DateTimeField(null=True, verbose_name="looked at since")),
                ("settled_at", models.DateTimeField(null=True, verbose_name="settled")),
                ("failure_code", models.CharField(blank=True, max_length=40, verbose_name="cause")),
                (
                    "active_assignment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to="assignments.activeassignment",
                        verbose_name="active assignment",
                    ),
                ),
                (
                    "claimed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="looked at by",
                    ),
                ),
                (
                    "eligible_assignment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to="assignments.eligibleassignment",
                        verbose_name="eligible assignment",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to="accounts.group",
                        verbose_name="for the group",
                    ),
                ),
                (
                    "prolongs",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prolongations",
                        to="assignments.activeassignment",
                        verbose_name="extends",
                    ),
                ),
                (
                    "requester",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests_made",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="asked by",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to="roles.role",
                        verbose_name="role",
                    ),
                ),
                (
                    "scope",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="roles.resource",
                        verbose_name="scope",
                    ),
                ),
                (
                    "settings",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to="roles.rolesettings",
                        verbose_name="settings asked under",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="requests",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="for",
                    ),
                ),
            ],
            options={
                "verbose_name": "request",
                "verbose_name_plural": "requests",
                "ordering": ["-requested_at"],
                "permissions": [("cancel_request", "Can cancel requests of others")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ("pending_hook", "pending_approval"))),
                        fields=["expires_at"],
                        name="request_pending_by_time",
                    ),
                    models.Index(fields=["user", "-requested_at"], name="request_by_user"),
                    models.Index(fields=["-requested_at"], name="request_newest_first"),
                    models.Index(
                        condition=models.Q(("status", "scheduled")), fields=["status"], name="request_scheduled"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status__in", ("pending_hook", "pending_approval"))),
                        fields=("user", "eligible_assignment"),
                        name="request_one_open_per_eligibility",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "pending_admin_decision")),
                        fields=("eligible_assignment",),
                        name="request_one_extension_per_eligible",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("status", "pending_admin_decision")),
                        fields=("active_assignment",),
                        name="request_one_extension_per_active",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status__in", ("pending_hook", "pending_approval")), _negated=True),
                            models.Q(
                                ("expires_at__gt", models.F("requested_at")),
                                ("expires_at__isnull", False),
                                ("settled_at", None),
                            ),
                            _connector="OR",
                        ),
                        name="request_pending_has_time_out",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "pending_approval"), _negated=True),
                            models.Q(("stage__gte", 1), ("stage__isnull", False)),
                            _connector="OR",
                        ),
                        name="request_pending_has_stage",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("action__startswith", "self_"), _negated=True),
                            models.Q(
                                ("requester", models.F("user")), ("requester__isnull", False), ("user__isnull", False)
                            ),
                            _connector="OR",
                        ),
                        name="request_self_is_for_oneself",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("group__isnull", False), ("user", None)),
                            models.Q(("group", None), ("user__isnull", False)),
                            _connector="OR",
                        ),
                        name="request_for_one_holder",
                    ),
                ],
            },
            bases=(assignments.holders.Held, models.Model),
        ),
        migrations.CreateModel(
            name="HookCall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("next_attempt_at", models.DateTimeField(verbose_name="next attempt at")),
                ("last_error", models.CharField(blank=True, max_length=40, verbose_name="last error")),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("approved", "had no objection"),
                            ("auto_approved", "approved for all"),
                            ("denied", "denied"),
                            ("unanswered", "did not answer"),
                        ],
                        max_length=20,
                        verbose_name="outcome",
                    ),
                ),
                ("reasons", models.TextField(blank=True, max_length=2000, verbose_name="reasons")),
                ("answered_at", models.DateTimeField(null=True, verbose_name="answered")),
                (
                    "hook",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="roles.hook"
                    ),
                ),
                (
                    "request",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="hook_call", to="approvals.request"
                    ),
                ),
            ],
            options={
                "verbose_name": "question to a hook",
                "verbose_name_plural": "questions to hooks",
                "ordering": ["next_attempt_at"],
                "default_permissions": (),
                "indexes": [
                    models.Index(condition=models.Q(("outcome", "")), fields=["next_attempt_at"], name="hookcall_due")
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("answered_at", None), ("outcome", "")),
                            models.Q(models.Q(("outcome", ""), _negated=True), ("answered_at__isnull", False)),
                            _connector="OR",
                        ),
                        name="hookcall_answered_at_a_time",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="EmergencyUse",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("is_drill", models.BooleanField(default=False, verbose_name="drill")),
                ("used_at", models.DateTimeField(verbose_name="used")),
                ("review_by", models.DateTimeField(verbose_name="to be reviewed by")),
                ("reviewed_at", models.DateTimeField(null=True, verbose_name="reviewed")),
                (
                    "finding",
                    models.CharField(
                        blank=True,
                        choices=[("justified", "justified"), ("unjustified", "not justified")],
                        max_length=20,
                        verbose_name="finding",
                    ),
                ),
                ("comment", models.TextField(blank=True, max_length=2000, verbose_name="comment")),
                (
                    "reviewed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="reviewed by",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="emergencies",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
                (
                    "request",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="emergency",
                        to="approvals.request",
                        verbose_name="request",
                    ),
                ),
            ],
            options={
                "verbose_name": "emergency use",
                "verbose_name_plural": "emergency uses",
                "ordering": ["-used_at"],
                "permissions": [("review_emergency", "Can review uses of emergency access")],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("reviewed_at", None)), fields=["review_by"], name="emergencyuse_unreviewed"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finding", ""), ("reviewed_at", None), ("reviewed_by", None)),
                            models.Q(
                                ("reviewed_at__isnull", False),
                                ("reviewed_by__isnull", False),
                                models.Q(("finding", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="emergencyuse_reviewed_by_somebody",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("reviewed_by", None),
                            models.Q(("reviewed_by", models.F("user")), _negated=True),
                            _connector="OR",
                        ),
                        name="emergencyuse_reviewed_by_another",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Decision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "verdict",
                    models.CharField(
                        choices=[("approved", "approved"), ("denied", "denied")], max_length=10, verbose_name="verdict"
                    ),
                ),
                ("justification", models.TextField(max_length=2000, verbose_name="reason")),
                ("stage", models.PositiveSmallIntegerField(default=1, verbose_name="stage")),
                ("duration", models.DurationField(null=True, verbose_name="for at most")),
                ("decided_at", models.DateTimeField(verbose_name="decided")),
                (
                    "on_behalf_of",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions_by_delegates",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="decisions",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "repeats",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="repeated_by",
                        to="approvals.request",
                    ),
                ),
                (
                    "request",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="decisions", to="approvals.request"
                    ),
                ),
            ],
            options={
                "verbose_name": "decision",
                "verbose_name_plural": "decisions",
                "ordering": ["decided_at"],
                "default_permissions": ("view",),
                "constraints": [
                    models.UniqueConstraint(fields=("request", "person"), name="decision_one_per_person"),
                    models.UniqueConstraint(
                        models.F("request"),
                        django.db.models.functions.comparison.Coalesce("on_behalf_of", "person"),
                        name="decision_one_per_voice",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("person__isnull", False), ("repeats", None)),
                            models.Q(
                                ("on_behalf_of", None),
                                ("person", None),
                                ("repeats__isnull", False),
                                ("verdict", "approved"),
                            ),
                            _connector="OR",
                        ),
                        name="decision_by_a_person_or_repeated",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RoleSet",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="role_sets",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        models.F("user"), django.db.models.functions.text.Lower("name"), name="roleset_one_per_name"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RoleSetEntry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="roles.role"),
                ),
                (
                    "role_set",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="entries", to="approvals.roleset"
                    ),
                ),
                (
                    "scope",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="roles.resource"
                    ),
                ),
            ],
            options={
                "ordering": ["role__name", "scope__label"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("role_set", "role", "scope"), name="rolesetentry_one_each")
                ],
            },
        ),
        migrations.CreateModel(
            name="Favourite",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="roles.role"),
                ),
                (
                    "scope",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="roles.resource"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="favourites",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [models.UniqueConstraint(fields=("user", "role", "scope"), name="favourite_one_each")],
            },
        ),
    ]
