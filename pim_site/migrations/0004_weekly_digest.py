from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pim_site", "0003_request_times"),
    ]

    operations = [
        migrations.CreateModel(
            name="WeeklyDigest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("told_until", models.DateTimeField()),
                ("next_at", models.DateTimeField()),
            ],
            options={
                "default_permissions": (),
            },
        ),
    ]
