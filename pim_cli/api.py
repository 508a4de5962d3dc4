"""The API over HTTP: one call each, refusals as `Failure` with the code of the API."""

import uuid
from collections.abc import Iterator
from typing import Any

import requests

from .credentials import Credentials
from .errors import NO_ANSWER, NO_TOKEN, REFUSED, Failure

SECONDS = 30
Row = dict[str, Any]
# The first that fits: some of them are kinds of others.
UNREACHED = (
    (requests.exceptions.SSLError, "its certificate is not trusted here, or it does not speak TLS."),
    (requests.Timeout, f"it said nothing for {SECONDS} seconds."),
    (requests.ConnectionError, "nothing answers there. Is it the right address, and is PIM running?"),
)


class _Bearer(requests.auth.AuthBase):
    """Set as authentication, so that what ~/.netrc knows of the host does not take its place."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


class Api:
    def __init__(self, credentials: Credentials) -> None:
        self.root = f"{credentials.url}/api/v1/"
        self.session = requests.Session()
        self.session.auth = _Bearer(credentials.token)

    def get(self, path: str, **query: str) -> Row:
        return self._send("GET", self.root + path, params=query)

    def post(self, path: str, body: Row) -> Row:
        """Send once; a key makes sure that what is repeated on the way is done once. Raises Failure."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return self._send("POST", self.root + path, json=body, headers=headers)

    def rows(self, path: str, **query: str) -> Iterator[Row]:
        """Yield every row of a list, page after page."""
        page = self.get(path, **query)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self._send("GET", page["next"])

    def _send(self, method: str, url: str, **rest: Any) -> Row:
        if not url.startswith(self.root):  # the token goes nowhere else
            raise Failure("The answer points to another address.", NO_ANSWER)
        try:
            answer = self.session.request(method, url, timeout=SECONDS, allow_redirects=False, **rest)
        except (requests.RequestException, ValueError) as error:
            words = next((words for kind, words in UNREACHED if isinstance(error, kind)), type(error).__name__)
            raise Failure(f"No usable answer from {self.root}: {words}", NO_ANSWER) from error
        body = _body(answer)
        if answer.ok and answer.status_code < 300 and body is not None:
            return body
        raise _failure(answer.status_code, body or {}, self.root)


def _body(answer: requests.Response) -> Row | None:
    """Return the JSON object of an answer; None where it is something else."""
    try:
        body = answer.json() if answer.content else {}
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _failure(status: int, problem: Row, root: str) -> Failure:
    code = str(problem.get("code", ""))
    texts = [problem.get("detail", ""), *(f"{each['field']}: {each['detail']}" for each in problem.get("errors", []))]
    stranger = "" if status >= 500 else " This is not the API of PIM."
    text = "\n".join(dict.fromkeys(filter(None, texts))) or f"{root} answered HTTP {status}.{stranger}"
    if status == 401:
        return Failure(text, NO_TOKEN, code)
    return Failure(text, NO_ANSWER if status >= 500 or status < 400 or not code else REFUSED, code)
