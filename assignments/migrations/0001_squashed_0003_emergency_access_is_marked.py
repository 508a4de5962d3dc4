import uuid

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import assignments.holders


class Migration(migrations.Migration):
    replaces = [
        ("assignments", "0001_eligible_and_active"),
        ("assignments", "0002_groups_hold_roles"),
        ("assignments", "0003_emergency_access_is_marked"),
    ]

    initial = True

    dependencies = [
        ("accounts", "0001_squashed_0005_browser_sessions"),
        ("roles", "0001_squashed_0011_emergency_access"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="EligibleAssignment",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("starts_at", models.DateTimeField(verbose_name="start")),
                ("ends_at", models.DateTimeField(help_text="Empty: permanent.", null=True, verbose_name="end")),
                ("created_at", models.DateTimeField(verbose_name="made")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                (
                    "end_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("expired", "expired"),
                            ("deactivated", "ended by hand"),
                            ("removed", "removed"),
                            ("canceled", "canceled before its start"),
                            ("eligibility_ended", "the eligibility ended"),
                            ("membership_ended", "the membership of the group ended"),
                            ("holder_disabled", "the holder was disabled"),
                        ],
                        max_length=20,
                        verbose_name="why it ended",
                    ),
                ),
                ("reminded_days", models.PositiveSmallIntegerField(editable=False, null=True)),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="accounts.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="roles.role", verbose_name="role"
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
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="holder",
                    ),
                ),
            ],
            options={
                "verbose_name": "eligible assignment",
                "verbose_name_plural": "eligible assignments",
                "ordering": ["-starts_at"],
                "permissions": [
                    ("assign_eligible", "Can make people eligible for any role"),
                    ("assign_ordinary_eligible", "Can make people eligible for roles that are not privileged"),
                    ("remove_assignment", "Can remove assignments"),
                ],
                "abstract": False,
                "default_permissions": ("view",),
                "default_related_name": "eligible_assignments",
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)),
                        fields=["ends_at"],
                        name="eligibleassignment_open_by_end",
                    ),
                    models.Index(fields=["role", "scope"], name="eligibleassignment_by_role"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"),
                        name="eligibleassignment_ends_after_start",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("end_reason", ""), ("ended_at", None)),
                            models.Q(("ended_at__isnull", False), models.Q(("end_reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="eligibleassignment_end_has_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("group__isnull", False), ("user", None)),
                            models.Q(("group", None), ("user__isnull", False)),
                            _connector="OR",
                        ),
                        name="eligibleassignment_one_holder",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("user", "role", "scope"),
                        name="eligibleassignment_one_open_each",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("group", "role", "scope"),
                        name="eligibleassignment_one_open_each_group",
                    ),
                ],
            },
            bases=(assignments.holders.Held, models.Model),
        ),
        migrations.CreateModel(
            name="ActiveAssignment",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("starts_at", models.DateTimeField(verbose_name="start")),
                ("ends_at", models.DateTimeField(help_text="Empty: permanent.", null=True, verbose_name="end")),
                ("created_at", models.DateTimeField(verbose_name="made")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                (
                    "end_reason",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("expired", "expired"),
                            ("deactivated", "ended by hand"),
                            ("removed", "removed"),
                            ("canceled", "canceled before its start"),
                            ("eligibility_ended", "the eligibility ended"),
                            ("membership_ended", "the membership of the group ended"),
                            ("holder_disabled", "the holder was disabled"),
                        ],
                        max_length=20,
                        verbose_name="why it ended",
                    ),
                ),
                ("reminded_days", models.PositiveSmallIntegerField(editable=False, null=True)),
                ("is_emergency", models.BooleanField(default=False, verbose_name="emergency access")),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to="accounts.group",
                        verbose_name="group",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, to="roles.role", verbose_name="role"
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
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="holder",
                    ),
                ),
                (
                    "eligible_assignment",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="activations",
                        to="assignments.eligibleassignment",
                        verbose_name="activated from",
                    ),
                ),
            ],
            options={
                "verbose_name": "active assignment",
                "verbose_name_plural": "active assignments",
                "ordering": ["-starts_at"],
                "permissions": [
                    ("assign_active", "Can assign any role as active"),
                    ("end_activation", "Can end activations of others"),
                ],
                "abstract": False,
                "default_permissions": ("view",),
                "default_related_name": "active_assignments",
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at", None)), fields=["ends_at"], name="activeassignment_open_by_end"
                    ),
                    models.Index(
                        condition=models.Q(("ended_at", None)), fields=["user"], name="activeassignment_open_by_user"
                    ),
                    models.Index(fields=["role", "scope"], name="activeassignment_by_role"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"),
                        name="activeassignment_ends_after_start",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("end_reason", ""), ("ended_at", None)),
                            models.Q(("ended_at__isnull", False), models.Q(("end_reason", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="activeassignment_end_has_reason",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("group__isnull", False), ("user", None)),
                            models.Q(("group", None), ("user__isnull", False)),
                            _connector="OR",
                        ),
                        name="activeassignment_one_holder",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("eligible_assignment", None), ("ended_at", None)),
                        fields=("user", "role", "scope"),
                        name="activeassignment_one_assigned_each",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at", None)),
                        fields=("group", "role", "scope"),
                        name="activeassignment_one_assigned_each_group",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("eligible_assignment", None), ("user__isnull", False), _connector="OR"),
                        name="activation_is_of_a_person",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("eligible_assignment__isnull", False), ("ended_at", None)),
                        fields=("eligible_assignment", "user", "scope"),
                        name="activation_one_per_eligibility",
                    ),
                ],
            },
            bases=(assignments.holders.Held, models.Model),
        ),
    ]
