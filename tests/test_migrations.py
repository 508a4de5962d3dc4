"""A database made in single steps and one made by the squashed migrations are the same."""

from django.db.migrations.loader import MigrationLoader

NAMED = ("constraints", "indexes")


def described(migrations):
    """Each table as its fields and options, in no order: that of columns and constraints is no promise."""
    return {
        key: (
            {name: field.deconstruct()[1:] for name, field in model.fields.items()},
            {name: value for name, value in model.options.items() if name not in NAMED},
            {each.name: each.deconstruct() for named in NAMED for each in model.options.get(named, [])},
        )
        for key, model in migrations.project_state().models.items()
    }


def test_squashed_migrations_make_what_the_steps_made():
    squashed = MigrationLoader(None)
    assert squashed.replacements
    assert described(squashed) == described(MigrationLoader(None, replace_migrations=False))
