from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_sign_ins_to_explain"),
        ("assignments", "0001_squashed_0003_emergency_access_is_marked"),
        ("roles", "0001_squashed_0011_emergency_access"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddIndex(
            model_name="activeassignment",
            index=models.Index(
                condition=models.Q(("eligible_assignment__isnull", False)),
                fields=["starts_at", "role", "ended_at"],
                name="activation_by_start",
            ),
        ),
    ]
