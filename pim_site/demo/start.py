"""`python -m pim_site.demo.start`: the demo, from nothing to a site that answers. Ends with Ctrl-C.

Knows no Django: it prepares the environment of the processes that do, starts them, and watches them.
"""

import argparse
import base64
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from pim_site.ending import Ending

HOME = Path(__file__).resolve().parent.parent.parent
PYTHON = sys.executable
START_SECONDS = 180.0
# After this long a process that was asked to end is killed. Nothing is lost by it: mail and expiry are rows.
END_SECONDS = 5.0
LOOK_EVERY = 0.5


class Demo:
    """The processes of one demo, its directory, and its port on the loopback."""

    def __init__(self, port: int, directory: Path) -> None:
        self.port, self.directory = port, directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ending = Ending()

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    def run(self) -> int:
        """Start all, wait for the end, end all; return the exit status."""
        self.ending.listen(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        try:
            write_environment(self)
            if not self.answers():
                return 0 if self.ending.wait(0) else 1
            self.start("worker", "manage.py", "worker")
            introduce(self)
            return self.watch()
        finally:
            self.stop()

    def answers(self) -> bool:
        """Start the web process, which makes the database first; return whether it came to answer."""
        web = self.start(
            "web",
            "-m",
            "gunicorn",
            f"--bind=127.0.0.1:{self.port}",
            "--worker-class=gthread",
            "--threads=4",
            "--graceful-timeout=2",
            "--no-control-socket",
            "--forwarder-headers=",  # or whoever sends SCRIPT_NAME says where the site begins
            "--preload",
            "pim_site.demo.web",
        )
        until = time.monotonic() + START_SECONDS
        while not healthy(self.port):
            if web.poll() is not None or time.monotonic() > until:
                return complain(f"The site did not start: see {self.log('web')}")
            if self.ending.wait(0.05):
                return False
        return True

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log(name).open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 (our own commands)
                [PYTHON, *arguments],
                cwd=HOME,
                env=environment(self),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C in the terminal comes to us alone, and we end them in order
            )
        self.processes[name] = process
        return process

    def watch(self) -> int:
        """Until the end: a worker that is gone is started again; without the web process there is no demo."""
        while not self.ending.wait(LOOK_EVERY):
            if self.processes["web"].poll() is not None:
                complain(f"The web process has ended: see {self.log('web')}")
                return 1
            if self.processes["worker"].poll() is not None:
                complain("The worker has ended; starting another one.")
                self.start("worker", "manage.py", "worker")
        return 0

    def stop(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + END_SECONDS
        for process in self.processes.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass
            kill_group(process)

    def log(self, name: str) -> Path:
        return self.directory / f"{name}.log"


def kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": "localhost"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def complain(text: str) -> bool:
    print(text, file=sys.stderr, flush=True)
    return False


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def environment(demo: Demo) -> dict[str, str]:
    """This process's environment, without settings of some other installation that the shell may hold."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PIM_")}
    return kept | {"PIM_ENV_FILE": str(demo.directory / "env"), "PYTHONUNBUFFERED": "1"}


def write_environment(demo: Demo) -> None:
    """Write the file that the settings read. Its keys stay from start to start, or nobody could sign in any more."""
    path = demo.directory / "env"
    demo.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = path.read_text().splitlines() if path.exists() else []
    values = {
        "PIM_SECRET_KEY": secrets.token_urlsafe(48),
        "PIM_FACTOR_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "PIM_AUDIT_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        **dict(line.split("=", 1) for line in lines if "=" in line),
        "PIM_DEBUG": "1",
        "PIM_DEMO": "1",
        "PIM_DEMO_DIR": str(demo.directory),
        "PIM_DATABASE_URL": f"sqlite:///{demo.directory / 'pim.sqlite3'}",
        "PIM_BASE_URL": demo.address,
        "PIM_AUDIT_CHECKPOINT_FILE": str(demo.directory / "checkpoints.jsonl"),
        "PIM_ALLOWED_HOSTS": "localhost,127.0.0.1",
        "PIM_OUTGOING_NETWORKS": "127.0.0.0/8",  # where the change calendar of the demo is
        "PIM_OUTGOING_HTTP": "1",
    }
    unfinished = path.with_suffix(".part")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"{name}={value}\n" for name, value in values.items())
    unfinished.replace(path)


def prepare(demo: Demo) -> int:
    """Make the tables alone, for `pim_site.demo.empty`; the exit status."""
    write_environment(demo)
    command = [PYTHON, "manage.py", "demo", "--tables"]
    return subprocess.run(command, cwd=HOME, env=environment(demo), check=False).returncode  # noqa: S603 (our own)


def introduce(demo: Demo) -> None:
    """Say where the site is, who there is, and how to get in."""
    people = json.loads((demo.directory / "people.json").read_text()).values()
    persons = [person for person in people if "otpauth" in person]
    print(f"\nThe demo is at {demo.address}    (Ctrl-C ends it)\n")
    for person in people:
        print(f"  {person['username']:16} {person['what for']}")
    print(f"\nPassword of everybody: {persons[0]['password']}")
    print(f"A code, now:           {code_command(demo)} requester")
    print("Or add a person to an authenticator app, by this address or the QR code that an app makes of it:\n")
    for person in persons:
        print(f"  {person['username']:16} {person['otpauth']}")
    print(f"\nA token of each for the API, with all scopes: {shown(demo.directory / 'people.json')}")
    print(f"\nMail of the demo: {demo.address}/demo/mail/    Logs: {shown(demo.directory)}/*.log", flush=True)


def code_command(demo: Demo) -> str:
    place = "" if demo.directory == HOME / ".demo" else f"PIM_DEMO_DIR={demo.directory} "
    return f"{place}{shown(Path(PYTHON))} -m pim_site.demo.code"


def shown(path: Path) -> str:
    """As it can be typed here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m pim_site.demo.start", description="Start the demo.")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT") or 8000))
    port = parser.parse_args().port
    if not is_free(port):
        complain(f"Port {port} is taken by another program. Choose another one: PORT={port + 1} make run")
        return 1
    return Demo(port, Path(os.environ.get("PIM_DEMO_DIR") or HOME / ".demo").resolve()).run()


if __name__ == "__main__":
    sys.exit(main())
