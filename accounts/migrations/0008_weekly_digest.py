from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_sign_ins_to_explain"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="weekly_digest",
            field=models.BooleanField(default=True, editable=False, verbose_name="weekly digest"),
        ),
    ]
