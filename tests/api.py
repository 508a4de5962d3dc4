"""A program that talks to the API with a token."""

import json

from django.test import Client

from tests.factories import TokenFactory

ROOT = "/api/v1/"


class Program:
    """Requests with the token of `user`; answers are (status, body)."""

    def __init__(self, user=None, *, scopes=None, token=None, **client):
        token = token or (TokenFactory(user=user, **({"scopes": scopes} if scopes else {})).text if user else "")
        self.token = token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = Client(headers=headers, raise_request_exception=False, **client)
        self.headers = {}

    def send(self, method, path, body=None, *, key=None, seen=None, **query):
        headers = {"Idempotency-Key": key} if key is not None else {}
        headers |= {"If-Match": seen} if seen else {}
        data = json.dumps(body) if body is not None else ""
        address = path if path.startswith("/") else ROOT + path
        answer = self.client.generic(
            method, address, data, "application/json", headers=headers, query_params=query or None
        )
        self.headers = answer.headers
        content = answer.getvalue()
        is_json = answer.headers.get("Content-Type", "").split(";")[0].endswith("json")
        return answer.status_code, (json.loads(content) if is_json else content.decode()) or None

    def get(self, path, **query):
        return self.send("GET", path, **query)

    def post(self, path, body=None, **rest):
        return self.send("POST", path, body if body is not None else {}, **rest)

    def patch(self, path, body, *, seen="*"):
        return self.send("PATCH", path, body, seen=seen)

    def delete(self, path, *, seen=None, **query):
        return self.send("DELETE", path, seen=seen, **query)
