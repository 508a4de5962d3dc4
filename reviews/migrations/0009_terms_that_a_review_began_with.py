from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0008_series_that_begin_anew")]

    operations = [
        migrations.AddField(model_name="instance", name="terms", field=models.JSONField(default=dict, editable=False))
    ]
