"""`python -m pim_site.demo.code requester`: the code that this person's authenticator app would show now."""

import json
import os
import sys
import time
from base64 import b32decode
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from django_otp.oath import totp

DIRECTORY = Path(os.environ.get("PIM_DEMO_DIR") or Path(__file__).resolve().parent.parent.parent / ".demo")
STEP_SECONDS = 30


def main(username: str) -> None:
    path = DIRECTORY / "people.json"
    if not path.exists():
        sys.exit("There is no demo yet: start one with `make run`.")
    people = {name: person for name, person in json.loads(path.read_text()).items() if "otpauth" in person}
    if username not in people:
        sys.exit(f"Nobody of that name has an authenticator app. There are: {', '.join(people)}")
    left = STEP_SECONDS - int(time.time()) % STEP_SECONDS
    print(f"{totp(key_of(people[username]['otpauth'])):06}  (shown for another {left} s; each code counts once)")


def key_of(otpauth: str) -> bytes:
    secret = parse_qs(urlsplit(otpauth).query)["secret"][0]
    return b32decode(secret + "=" * (-len(secret) % 8))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else "")
