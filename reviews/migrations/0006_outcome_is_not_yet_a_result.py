from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("reviews", "0005_items_stand_in_the_order_of_their_list")]

    operations = [
        migrations.AlterField(
            model_name="item",
            name="outcome",
            field=models.CharField(
                blank=True,
                choices=[("keep", "kept"), ("remove", "to be removed"), ("no_change", "nothing changed")],
                max_length=10,
                verbose_name="outcome",
            ),
        )
    ]
