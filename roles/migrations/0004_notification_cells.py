"""A cell says more than told or not: also whom else, and of what."""

from django.db import migrations, models

import roles.mails


def widen(apps, schema_editor):
    change(apps, lambda told: {"default": told, "also": [], "level": "all"})


def narrow(apps, schema_editor):
    change(apps, lambda cell: cell["default"] and cell["level"] == "all")


def change(apps, each):
    settings = apps.get_model("roles", "RoleSettings")
    for row in settings.objects.iterator():
        cells = {event: {who: each(cell) for who, cell in cells.items()} for event, cells in row.notifications.items()}
        settings.objects.filter(pk=row.pk).update(notifications=cells)


class Migration(migrations.Migration):
    dependencies = [("roles", "0003_governed_groups_and_owners")]

    operations = [
        migrations.AlterField(
            "rolesettings",
            "notifications",
            models.JSONField(default=roles.mails.default_notifications, verbose_name="notifications"),
        ),
        migrations.RunPython(widen, narrow),
    ]
