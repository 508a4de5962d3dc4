"""Files that are there whole, on the disk itself, or not at all."""

import errno
import os
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from secrets import token_hex


def write_whole(path: Path, lines: Iterable[str]) -> str:
    """Write the lines, and return the SHA-256 of all of them in hex.

    What is there under that name already stays until the new one is on the disk. Raises OSError, a full disk among
    others: then nothing is left behind.
    """
    return _written(path, lines, os.replace)


def write_new(path: Path, lines: Iterable[str]) -> str:
    """The same, where nothing is under that name. Raises FileExistsError, and leaves what is there by then."""
    return _written(path, lines, os.link)


def _written(path: Path, lines: Iterable[str], publish: Callable[[Path, Path], None]) -> str:
    unfinished = path.with_name(f"{path.name}.{token_hex(8)}.part")
    digest = sha256()
    try:
        with unfinished.open("xb") as file:
            for line in lines:
                content = line.encode()
                digest.update(content)
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(unfinished, path)
        _sync_names(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    return digest.hexdigest()


def append_whole(path: Path, text: str) -> None:
    """Write all of the text at the end of a file, to the disk itself, or nothing of it. Raises OSError.

    The file is opened anew each time: it can be moved away, and the next text begins a new one.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
        content = (("\n" if torn else "") + text).encode()
        try:
            if os.write(descriptor, content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Force a file that is there, and its name, to the disk itself. Raises OSError."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    _sync_names(path.parent)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file in hex. Raises OSError."""
    digest = sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _sync_names(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
