from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("pim_site", "0004_weekly_digest"),
    ]

    operations = [
        migrations.AddField(
            model_name="keptanswer",
            name="etag",
            field=models.CharField(blank=True, default="", max_length=100),
            preserve_default=False,
        ),
    ]
