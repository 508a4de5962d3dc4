"""A database with all tables and nobody in it, kept beside the installed packages for the next new demo.

Making the tables is a third of the time that a new demo takes; copying them is nothing. `python -m pim_site.demo.empty`
makes it, as part of the installation; a demo that finds none makes its tables itself, and keeps them.
"""

import hashlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent.parent
# Of the trees that share an environment, each may keep its own.
KEPT = 3


def kept() -> Path:
    """Where the database is that fits this program: whatever it may depend on is part of the name."""
    digest = hashlib.sha256()
    for path in sorted(_parts()):
        digest.update(path.read_bytes())
    return Path(sys.prefix) / f"pim-empty-{digest.hexdigest()[:16]}.sqlite3"


def _parts() -> Iterator[Path]:
    yield HOME / "requirements.txt"
    for package in HOME.glob("*/__init__.py"):  # not into the installed packages, which are many
        if package.parent.name != "tests":
            yield from package.parent.rglob("*.py")


def begin(database: Path) -> bool:
    """Make a database of the one that is kept; False if none is, or if there is a database already."""
    if database.exists() or not (source := kept()).exists():
        return False
    unfinished = database.with_suffix(".part")
    shutil.copyfile(source, unfinished)
    unfinished.replace(database)
    return True


def keep() -> None:
    """Keep what is in the database now, if it can be written there; the oldest of the others go."""
    from django.db import connection

    place = kept()
    with suppress(OSError), tempfile.TemporaryDirectory(dir=place.parent, prefix="pim-empty-") as directory:
        unfinished = Path(directory) / place.name
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(unfinished)])
        unfinished.replace(place)
        found = sorted(place.parent.glob("pim-empty-*.sqlite3"), key=lambda path: path.stat().st_mtime)
        for old in found[:-KEPT]:
            old.unlink(missing_ok=True)


def main() -> int:
    from .start import Demo, prepare

    if kept().exists():
        return 0
    with tempfile.TemporaryDirectory() as directory:
        return prepare(Demo(0, Path(directory)))


if __name__ == "__main__":
    sys.exit(main())
