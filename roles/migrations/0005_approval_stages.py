import datetime

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def first_stages(apps, schema_editor):
    """What approvers and time a version had until now is its first stage."""
    stages = apps.get_model("roles", "ApprovalStage").objects
    for version in apps.get_model("roles", "RoleSettings").objects.all():
        stage = stages.create(settings=version, number=1, timeout=version.approval_timeout)
        stage.approvers.set(version.approvers.all())
        stage.approver_groups.set(version.approver_groups.all())


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_people_and_factors"),
        ("roles", "0004_notification_cells"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
            ],
            options={
                "verbose_name": "approval stage",
                "verbose_name_plural": "approval stages",
                "ordering": ["number"],
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="approvalstage",
            name="approver_groups",
            field=models.ManyToManyField(
                blank=True, related_name="+", to="accounts.group", verbose_name="approver groups"
            ),
        ),
        migrations.AddField(
            model_name="approvalstage",
            name="approvers",
            field=models.ManyToManyField(
                blank=True, related_name="+", to=settings.AUTH_USER_MODEL, verbose_name="approvers"
            ),
        ),
        migrations.AddField(
            model_name="approvalstage",
            name="escalation_approvers",
            field=models.ManyToManyField(
                blank=True, related_name="+", to=settings.AUTH_USER_MODEL, verbose_name="then also"
            ),
        ),
        migrations.AddField(
            model_name="approvalstage",
            name="escalation_groups",
            field=models.ManyToManyField(
                blank=True, related_name="+", to="accounts.group", verbose_name="then also groups"
            ),
        ),
        migrations.AddField(
            model_name="approvalstage",
            name="settings",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="stages", to="roles.rolesettings"
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalstage",
            constraint=models.UniqueConstraint(fields=("settings", "number"), name="approvalstage_one_per_number"),
        ),
        migrations.AddConstraint(
            model_name="approvalstage",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gte", 1), ("quorum__gte", 1)), name="approvalstage_counts_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="approvalstage",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("timeout__gt", datetime.timedelta(0)),
                    models.Q(
                        ("escalates_after", None), ("escalates_after__gt", datetime.timedelta(0)), _connector="OR"
                    ),
                ),
                name="approvalstage_times_positive",
            ),
        ),
        migrations.RunPython(first_stages, migrations.RunPython.noop),
    ]
