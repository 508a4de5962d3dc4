from django.conf import settings
from django.db import migrations, models


def at_the_first_stage(apps, schema_editor):
    """There was one stage: whatever was sent to approvers stands at it."""
    apps.get_model("approvals", "Request").objects.filter(expires_at__isnull=False).update(stage=1)


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0002_requests_for_groups"),
        ("assignments", "0001_eligible_and_active"),
        ("roles", "0005_approval_stages"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="decision",
            name="duration",
            field=models.DurationField(null=True, verbose_name="for at most"),
        ),
        migrations.AddField(
            model_name="decision",
            name="stage",
            field=models.PositiveSmallIntegerField(default=1, verbose_name="stage"),
        ),
        migrations.AddField(
            model_name="request",
            name="escalated_at",
            field=models.DateTimeField(null=True, verbose_name="others were asked"),
        ),
        migrations.AddField(
            model_name="request",
            name="escalates_at",
            field=models.DateTimeField(null=True, verbose_name="others are asked"),
        ),
        migrations.AddField(
            model_name="request",
            name="remind_at",
            field=models.DateTimeField(null=True, verbose_name="reminder"),
        ),
        migrations.AddField(
            model_name="request",
            name="stage",
            field=models.PositiveSmallIntegerField(null=True, verbose_name="stage"),
        ),
        migrations.RunPython(at_the_first_stage, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name="request",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("status", "pending_approval"), _negated=True),
                    models.Q(("stage__gte", 1), ("stage__isnull", False)),
                    _connector="OR",
                ),
                name="request_pending_has_stage",
            ),
        ),
    ]
