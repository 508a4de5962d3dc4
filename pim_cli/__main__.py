"""`pim`, and `python -m pim_cli`."""

import argparse
import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from . import acts, delegating
from .errors import NO_ANSWER, Failure
from .lengths import iso_of

APP = "name of the authenticator app that shows the code, where you have several"
WAIT = 3600.0  # seconds that --wait waits if nothing else is said


def length(typed: str) -> str:
    try:
        return iso_of(typed)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def label(typed: str) -> str:
    return typed.rstrip("/") or typed[:1]


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="pim", description="Roles for a limited time, from the command line.")
    commands = whole.add_subparsers(required=True, metavar="COMMAND")
    add = Adder(commands)
    login = add("login", acts.login, "keep an address and a token")
    login.add_argument("--url", required=True, help="such as https://pim.example.org")
    login.add_argument("--token-stdin", action="store_true", help="read the token from standard input")
    add("list", acts.show, "what is active, what waits, and what can be activated")
    activate = add(
        "activate", acts.activate, "activate roles", named="role, or id of the eligible assignment", many=True
    )
    extend = add("extend", acts.extend, "keep an activation for longer", named="role, or id of the active assignment")
    _asks(activate, "for how long")
    _asks(extend, "for how much longer")
    words = "have a role at once, without approval: all administrators are told, and it is reviewed"
    emergency = add("emergency", acts.emergency, words, named="role, or id of the eligible assignment")
    emergency.add_argument("--reason", default="", help="why: it is asked for always")
    emergency.add_argument("--drill", action="store_true", help="it is practised: told and reviewed alike")
    _proved(emergency)
    end = add("end", acts.end, "end an activation", named="role, or id of the active assignment")
    end.add_argument("--reason", default="", help="why")
    approve = add("approve", acts.approve, "decide a request; without one, list what waits for you")
    approve.add_argument("request", nargs="?", default="", help="its reference (R-…), its id, or its role")
    approve.add_argument("--reason", default="", help="why")
    approve.add_argument("--code", default="", help="one-time code, where the role asks for one")
    approve.add_argument("--app", default="", help=APP)
    approve.add_argument("--for", dest="duration", type=length, metavar="1h", help="for less long than asked")
    words = "of an extension or a renewal: until when"
    approve.add_argument("--until", default="", metavar="2027-01-31T18:00:00Z", help=words)
    approve.add_argument("--deny", action="store_true", help="say no")
    delegate = add("delegate", delegating.delegate, "let a colleague decide for you; without one, list who does")
    delegate.add_argument("colleague", nargs="?", default="", help="their username or e-mail address")
    delegate.add_argument("--from", dest="start", default="", metavar="2027-01-24T08:00:00Z", help="now if not said")
    delegate.add_argument("--until", default="", metavar="2027-01-31T18:00:00Z", help="until when")
    delegate.add_argument("--reason", default="", help="why")
    delegate.add_argument("--end", type=int, metavar="NUMBER", help="end the one with this number of the list")
    check = add("check", acts.check, "does somebody hold a role now?", named="role, or its id")
    check.add_argument("--principal", default="", help="username or id; yourself if not said")
    return whole


def _asks(command: argparse.ArgumentParser, how_long: str) -> None:
    """Add what a role asks for."""
    command.add_argument("--for", dest="duration", type=length, required=True, metavar="2h", help=how_long)
    command.add_argument("--reason", default="", help="why")
    command.add_argument("--ticket", default="", help="number of the ticket")
    command.add_argument("--ticket-system", default="", help="where the ticket is")
    _proved(command)
    words = "wait for the decision, an hour if no time is said"
    command.add_argument("--wait", nargs="?", type=float, const=WAIT, default=0.0, metavar="SECONDS", help=words)


def _proved(command: argparse.ArgumentParser) -> None:
    command.add_argument("--code", default="", help="one-time code; asked for at a terminal where it is needed")
    command.add_argument("--app", default="", help=APP)


class Adder:
    """Adds commands with what all of them take."""

    def __init__(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        self.commands = commands

    def __call__(
        self,
        name: str,
        act: Callable[[argparse.Namespace], acts.Outcome],
        words: str,
        *,
        named: str = "",
        many: bool = False,
    ) -> argparse.ArgumentParser:
        command = self.commands.add_parser(name, help=words, description=words)
        command.set_defaults(act=act)
        command.add_argument("--json", action="store_true", help="print what the API answered")
        command.add_argument("--dry-run", action="store_true", help="look whether it can be done, and do nothing")
        if named:
            command.add_argument("name", metavar="NAME", help=named, nargs="+" if many else None)
            command.add_argument(
                "--at", default="", type=label, metavar="SCOPE", help="where, such as /Finance/Payroll"
            )
        return command


def main(arguments: Sequence[str] | None = None) -> int:
    asked = parser().parse_args(arguments)
    try:
        outcome: acts.Outcome = asked.act(asked)
    except Failure as failure:
        return _fail(failure, as_json=asked.json)
    except (KeyboardInterrupt, EOFError):
        return 130
    except Exception:  # an exit code of 1 would say that a role is not held
        traceback.print_exc()
        return NO_ANSWER
    _say(json.dumps(outcome.data, indent=2, ensure_ascii=False) if asked.json else outcome.text)
    return outcome.status


def _say(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:  # whoever reads has read enough; what was done is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(failure: Failure, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"code": failure.code, "detail": str(failure)}, ensure_ascii=False))
    code = f" [{failure.code}]" if failure.code else ""
    print(f"pim: {failure}{code}", file=sys.stderr)
    return failure.status


if __name__ == "__main__":
    sys.exit(main())
