"""Links of OpenAPI: which operations take the id that another has answered, for programs that follow descriptions."""

import re
from collections.abc import Iterator
from typing import Any

# Of a list the first.
IDS = {"list": "$response.body#/results/0/id", "one": "$response.body#/id"}


def add_links(document: dict[str, Any]) -> None:
    """Add to each list, and to what makes a thing, links to all that can be done with such a thing by its id."""
    paths = document["paths"]
    for path, operations in paths.items():
        followers = list(_followers(paths, path))
        for method, kind, status in (("get", "list", "200"), ("post", "one", "201")):
            answer = operations.get(method, {}).get("responses", {}).get(status)
            if answer and followers:
                answer["links"] = {name: {"operationId": name, "parameters": {"id": IDS[kind]}} for name in followers}


def _followers(paths: dict[str, Any], collection: str) -> Iterator[str]:
    for path, operations in paths.items():
        if re.fullmatch(re.escape(collection) + r"/\{id\}(/\w+)?", path):
            yield from (operation["operationId"] for operation in operations.values())
