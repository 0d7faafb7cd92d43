"""The tests' own way to Airflow's REST API, independent of the client that the relay uses."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answer:
    """What Airflow answered: `body` is decoded JSON, or text where it is not JSON."""

    status: int
    body: Any


def path_of(*parts: object) -> str:
    """`/api/v2/a/b` of the parts, percent-encoded: run ids hold `+` and `:`."""
    return "/api/v2/" + "/".join(quote(str(part), safe="") for part in parts)


class Api:
    """One Airflow's public API on loopback. One connection per call, no proxy, no redirect."""

    def __init__(self, port: int, passwords: Mapping[str, str], timeout: float = 30.0) -> None:
        self.port = port
        self._passwords = passwords
        self._timeout = timeout
        self._tokens: dict[str, str] = {}

    def call(
        self, method: str, path: str, body: object = None, *, user: str | None = "admin"
    ) -> Answer:
        """One request as `user`, or as nobody. Raises OSError where nothing listens."""
        headers = {"Accept": "application/json"}
        if user is not None:
            headers["Authorization"] = f"Bearer {self.token(user)}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._timeout)
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        try:
            return Answer(response.status, json.loads(content))
        except ValueError:
            return Answer(response.status, content.decode(errors="replace"))

    def token(self, user: str) -> str:
        """A token of `user`, valid for a day, asked for once."""
        if user not in self._tokens:
            login = {"username": user, "password": self._passwords[user]}
            answer = self.call("POST", "/auth/token", login, user=None)
            assert answer.status == 201, answer
            self._tokens[user] = answer.body["access_token"]
        return self._tokens[user]
