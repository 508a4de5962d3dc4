import datetime
import uuid

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import roles.mails


class Migration(migrations.Migration):
    replaces = [
        ("roles", "0001_resources_roles_settings"),
        ("roles", "0002_ticket_pattern_and_link"),
        ("roles", "0003_governed_groups_and_owners"),
        ("roles", "0004_notification_cells"),
        ("roles", "0005_approval_stages"),
        ("roles", "0006_approvers_only_in_stages"),
        ("roles", "0007_phishing_resistant"),
        ("roles", "0008_delegations_and_decisions"),
        ("roles", "0009_hooks"),
        ("roles", "0010_extending_past_longest"),
        ("roles", "0011_emergency_access"),
    ]

    initial = True

    dependencies = [
        ("accounts", "0001_squashed_0005_browser_sessions"),
        ("auth", "0012_alter_user_first_name_max_length"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Hook",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "name",
                    models.CharField(
                        error_messages={"unique": "There is a hook with this name already."},
                        max_length=100,
                        unique=True,
                        verbose_name="name",
                    ),
                ),
                ("url", models.CharField(max_length=500, verbose_name="address")),
                ("is_enabled", models.BooleanField(default=True, editable=False, verbose_name="enabled")),
                ("secret", models.TextField(blank=True, editable=False)),
                ("old_secret", models.TextField(blank=True, editable=False)),
                ("created_at", models.DateTimeField(editable=False, verbose_name="made")),
                ("tested_at", models.DateTimeField(editable=False, null=True, verbose_name="tested")),
                (
                    "test_outcome",
                    models.CharField(blank=True, editable=False, max_length=40, verbose_name="result of the test"),
                ),
                ("secret_made_at", models.DateTimeField(editable=False, null=True, verbose_name="secret made")),
            ],
            options={
                "verbose_name": "hook",
                "verbose_name_plural": "hooks",
                "ordering": ["name"],
                "default_permissions": ("add", "change", "view"),
            },
        ),
        migrations.CreateModel(
            name="Resource",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("organisation", "organisation"),
                            ("unit", "unit"),
                            ("application", "application"),
                            ("group", "group"),
                            ("other", "other"),
                        ],
                        default="other",
                        max_length=20,
                        verbose_name="kind",
                    ),
                ),
                ("name", models.CharField(max_length=150, verbose_name="name")),
                ("description", models.TextField(blank=True, max_length=2000, verbose_name="description")),
                ("path", models.CharField(editable=False, max_length=1024, unique=True)),
                ("label", models.TextField(editable=False)),
                (
                    "group",
                    models.OneToOneField(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="accounts.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="children",
                        to="roles.resource",
                        verbose_name="parent",
                    ),
                ),
            ],
            options={
                "verbose_name": "resource",
                "verbose_name_plural": "resources",
                "ordering": ["label"],
                "default_permissions": ("add", "change", "view"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("parent", "name"),
                        name="resource_one_per_name",
                        violation_error_message="There is a resource with this name here already.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("parent", None)), fields=("kind",), name="resource_one_root"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "organisation"), ("parent", None), ("path", "/")),
                            ("parent__isnull", False),
                            _connector="OR",
                        ),
                        name="resource_root_is_organisation",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Role",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=150, verbose_name="name")),
                ("description", models.TextField(blank=True, max_length=2000, verbose_name="description")),
                (
                    "is_privileged",
                    models.BooleanField(
                        default=False,
                        help_text="Who holds it could harm the organisation. Helpdesk staff cannot assign it.",
                        verbose_name="privileged",
                    ),
                ),
                ("built_in_key", models.CharField(blank=True, editable=False, max_length=40, null=True, unique=True)),
                (
                    "group_part",
                    models.CharField(
                        blank=True, choices=[("member", "member"), ("owner", "owner")], editable=False, max_length=10
                    ),
                ),
                (
                    "owns_resource",
                    models.BooleanField(
                        default=False,
                        help_text="Who holds it manages roles, settings and assignments where they hold it, and beneath.",
                        verbose_name="owns its resource",
                    ),
                ),
                (
                    "permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="What its holders may do in the console while they hold it at the organisation itself.",
                        to="auth.permission",
                        verbose_name="rights in this site",
                    ),
                ),
                (
                    "resource",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="roles",
                        to="roles.resource",
                        verbose_name="resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "role",
                "verbose_name_plural": "roles",
                "ordering": ["name"],
                "default_permissions": ("add", "change", "view"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("resource", "name"),
                        name="role_one_per_name",
                        violation_error_message="There is a role with this name on this resource already.",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("group_part", ""), _negated=True),
                        fields=("resource", "group_part"),
                        name="role_one_per_group_part",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RoleSettings",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("version", models.PositiveIntegerField(default=1, verbose_name="version")),
                ("changed_by_label", models.CharField(blank=True, max_length=200, verbose_name="changed by")),
                ("created_at", models.DateTimeField(verbose_name="in use since")),
                ("superseded_at", models.DateTimeField(null=True, verbose_name="in use until")),
                (
                    "activation_max_duration",
                    models.DurationField(
                        default=datetime.timedelta(seconds=28800),
                        validators=[
                            django.core.validators.MinValueValidator(datetime.timedelta(seconds=1800)),
                            django.core.validators.MaxValueValidator(datetime.timedelta(days=1)),
                        ],
                        verbose_name="longest activation",
                    ),
                ),
                (
                    "activation_authentication",
                    models.CharField(
                        choices=[
                            ("none", "none"),
                            ("mfa", "a fresh one-time code or passkey"),
                            ("phishing_resistant", "a passkey, nothing else"),
                        ],
                        default="mfa",
                        max_length=20,
                        verbose_name="proof on activation",
                    ),
                ),
                ("justification_required", models.BooleanField(default=True, verbose_name="reason on activation")),
                ("ticket_required", models.BooleanField(default=False, verbose_name="ticket on activation")),
                (
                    "ticket_pattern",
                    models.CharField(blank=True, max_length=200, verbose_name="pattern of ticket numbers"),
                ),
                ("ticket_link", models.CharField(blank=True, max_length=300, verbose_name="address of tickets")),
                ("approval_required", models.BooleanField(default=False, verbose_name="approval to activate")),
                ("decision_mfa_required", models.BooleanField(default=False, verbose_name="proof on deciding")),
                (
                    "extends_past_longest",
                    models.BooleanField(default=False, verbose_name="extending past the longest duration"),
                ),
                (
                    "auto_approve_within_hours",
                    models.PositiveSmallIntegerField(default=0, verbose_name="repeat an approval within"),
                ),
                (
                    "hook_unanswered",
                    models.CharField(
                        choices=[("deny", "deny the request"), ("ask", "ask people")],
                        default="deny",
                        max_length=10,
                        verbose_name="if the hook does not answer",
                    ),
                ),
                ("emergency_allowed", models.BooleanField(default=False, verbose_name="emergency access")),
                (
                    "emergency_duration",
                    models.DurationField(
                        default=datetime.timedelta(seconds=3600), verbose_name="length of emergency access"
                    ),
                ),
                (
                    "permanent_eligible_allowed",
                    models.BooleanField(default=True, verbose_name="permanent eligible assignments"),
                ),
                (
                    "eligible_max_days",
                    models.PositiveSmallIntegerField(default=365, verbose_name="longest eligible assignment"),
                ),
                (
                    "permanent_active_allowed",
                    models.BooleanField(default=True, verbose_name="permanent active assignments"),
                ),
                (
                    "active_max_days",
                    models.PositiveSmallIntegerField(default=180, verbose_name="longest active assignment"),
                ),
                (
                    "assign_active_mfa_required",
                    models.BooleanField(default=False, verbose_name="proof on assigning active"),
                ),
                (
                    "assign_active_justification_required",
                    models.BooleanField(default=True, verbose_name="reason on assigning active"),
                ),
                (
                    "notifications",
                    models.JSONField(default=roles.mails.default_notifications, verbose_name="notifications"),
                ),
                (
                    "hook",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="roles.hook",
                        verbose_name="hook",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="settings",
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
            ],
            options={
                "verbose_name": "role settings",
                "verbose_name_plural": "role settings",
                "ordering": ["-version"],
                "default_permissions": ("change", "view"),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("superseded_at", None)),
                        fields=("role", "scope"),
                        name="rolesettings_one_current",
                    ),
                    models.UniqueConstraint(fields=("role", "scope", "version"), name="rolesettings_one_per_version"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("activation_max_duration__gte", datetime.timedelta(seconds=1800)),
                            ("activation_max_duration__lte", datetime.timedelta(days=1)),
                        ),
                        name="rolesettings_duration_in_range",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ApprovalStage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveSmallIntegerField(default=1, verbose_name="stage")),
                ("asks_manager", models.BooleanField(default=False, verbose_name="the requester's manager")),
                ("quorum", models.PositiveSmallIntegerField(default=1, verbose_name="how many must approve")),
                ("one_from_each_group", models.BooleanField(default=False, verbose_name="one from each group")),
                ("timeout", models.DurationField(default=datetime.timedelta(days=1), verbose_name="time to decide")),
                ("escalates_after", models.DurationField(blank=True, null=True, verbose_name="ask others after")),
                (
                    "approver_groups",
                    models.ManyToManyField(
                        blank=True, related_name="+", to="accounts.group", verbose_name="approver groups"
                    ),
                ),
                (
                    "approvers",
                    models.ManyToManyField(
                        blank=True, related_name="+", to=settings.AUTH_USER_MODEL, verbose_name="approvers"
                    ),
                ),
                (
                    "escalation_approvers",
                    models.ManyToManyField(
                        blank=True, related_name="+", to=settings.AUTH_USER_MODEL, verbose_name="then also"
                    ),
                ),
                (
                    "escalation_groups",
                    models.ManyToManyField(
                        blank=True, related_name="+", to="accounts.group", verbose_name="then also groups"
                    ),
                ),
                (
                    "settings",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="stages", to="roles.rolesettings"
                    ),
                ),
            ],
            options={
                "verbose_name": "approval stage",
                "verbose_name_plural": "approval stages",
                "ordering": ["number"],
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("settings", "number"), name="approvalstage_one_per_number"),
                    models.CheckConstraint(
                        condition=models.Q(("number__gte", 1), ("quorum__gte", 1)), name="approvalstage_counts_from_one"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("timeout__gt", datetime.timedelta(0)),
                            models.Q(
                                ("escalates_after", None),
                                ("escalates_after__gt", datetime.timedelta(0)),
                                _connector="OR",
                            ),
                        ),
                        name="approvalstage_times_positive",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Delegation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts_at", models.DateTimeField(verbose_name="start")),
                ("ends_at", models.DateTimeField(verbose_name="end")),
                ("justification", models.TextField(blank=True, max_length=2000, verbose_name="reason")),
                ("created_at", models.DateTimeField(verbose_name="made")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                (
                    "delegate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="delegations_received",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="colleague",
                    ),
                ),
                (
                    "delegator",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="delegations_given",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="approver",
                    ),
                ),
            ],
            options={
                "verbose_name": "delegation",
                "verbose_name_plural": "delegations",
                "ordering": ["-starts_at"],
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)),
                        fields=["delegate", "ends_at"],
                        name="delegation_open_by_delegate",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="delegation_ends_after_start"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("delegator", models.F("delegate")), _negated=True),
                        name="delegation_to_somebody_else",
                    ),
                ],
            },
        ),
    ]
