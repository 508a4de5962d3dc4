"""Why a command ends without having done what was asked; the numbers are the exit codes of docs/cli.md."""

NOT_HELD, REFUSED, NO_TOKEN, NO_ANSWER, WAITING = 1, 3, 4, 5, 6


class Failure(Exception):
    """Ends the command.

    Attributes:
        status: the exit code.
        code: the stable code of the API, where it refused.
    """

    def __init__(self, text: str, status: int = REFUSED, code: str = "") -> None:
        super().__init__(text)
        self.status, self.code = status, code
