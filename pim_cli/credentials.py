"""Where the address and the token come from: PIM_URL and PIM_TOKEN, or a file that only its owner can read."""

import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .errors import NO_TOKEN, Failure

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TOKEN = re.compile(r"[!-~]+")  # anything else fits into no header


@dataclass(frozen=True)
class Credentials:
    url: str
    token: str


def path() -> Path:
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "pim" / "token.json"


def load() -> Credentials:
    """Return what the environment says, and of what it does not say, what the file does.

    Raises:
        Failure: there is no token, others can read the file, or the address is none.
    """
    url, token = os.environ.get("PIM_URL", ""), os.environ.get("PIM_TOKEN", "")
    kept = _read() if not (url and token) else {}
    url, token = url or kept.get("url", ""), token or kept.get("token", "")
    if not token:
        raise Failure("Sign in first: pim login, or set PIM_TOKEN.", NO_TOKEN)
    return Credentials(checked_url(url), checked_token(token))


def checked_token(token: str) -> str:
    if not _TOKEN.fullmatch(token):
        raise Failure("This is no token: it begins with pim_ and has no spaces.", NO_TOKEN)
    return token


def checked_url(url: str) -> str:
    """Return the address of the site, also for that of its API.

    Raises:
        Failure: it is none, or the token would go over HTTP to another machine.
    """
    try:
        parts = urlsplit(url)
        usable = parts.hostname and parts.scheme in ("https", "http") and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Failure("Say where PIM is: PIM_URL, or pim login --url https://pim.example.org", NO_TOKEN)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise Failure("A token is sent over https:// only.", NO_TOKEN)
    return url.rstrip("/").removesuffix("/api/v1")


def _read() -> dict[str, str]:
    try:
        with path().open() as file:
            mode = os.fstat(file.fileno())
            if mode.st_uid != os.getuid() or stat.S_IMODE(mode.st_mode) & 0o077:
                raise Failure(f"Others can read {path()}: chmod 600 it, and make a new token.", NO_TOKEN)
            kept = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        kept = None
    if not (isinstance(kept, dict) and all(isinstance(value, str) for value in kept.values())):
        raise Failure(f"{path()} cannot be read. Sign in again: pim login", NO_TOKEN)
    return kept


def save(credentials: Credentials) -> Path:
    """Write the file anew, readable by its owner alone from its first byte on; return where it is.

    Raises:
        Failure: it cannot be written.
    """
    target = path()
    fresh = target.with_suffix(f".{os.getpid()}")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump({"url": credentials.url, "token": credentials.token}, file)
        fresh.replace(target)
    except OSError as error:
        raise Failure(f"The token cannot be kept in {target}: {error.strerror}.", NO_TOKEN) from error
    return target
