from django.db import migrations


class Migration(migrations.Migration):
    # Apart from the copy: PostgreSQL alters no table that has rows with checks still to come in the same transaction.
    dependencies = [("roles", "0005_approval_stages")]

    operations = [
        migrations.RemoveConstraint(
            model_name="rolesettings",
            name="rolesettings_timeout_positive",
        ),
        migrations.RemoveField(
            model_name="rolesettings",
            name="approval_timeout",
        ),
        migrations.RemoveField(
            model_name="rolesettings",
            name="approver_groups",
        ),
        migrations.RemoveField(
            model_name="rolesettings",
            name="approvers",
        ),
    ]
