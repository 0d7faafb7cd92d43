"""The bearer token for Airflow: read, fetched or exchanged, and renewed before it expires."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final

from ...sink import Hold, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import Login

_COMMAND_TIMEOUT: Final = 30
_TOKEN: Final = re.compile(r"[!-~]+")
_RENEW_BEFORE: Final = 60
"""A token is renewed so many seconds before it expires."""


class Token:
    """The current token. `exchange` turns a user name and password into a token."""

    def __init__(
        self,
        login: Login,
        exchange: Callable[[str, str], str | Retry | Hold],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._login = login
        self._exchange = exchange
        self._clock = clock
        self._token: str | None = None
        self._renew_at = 0.0
        self._renewing = threading.Lock()

    def get(self) -> str | Retry | Hold:
        """The token; a new one if the last is about to expire."""
        with self._renewing:
            if self._token is not None and self._clock() < self._renew_at:
                return self._token
            return self._renew()

    def renew(self, refused: str | None = None) -> str | Retry | Hold:
        """A token in place of the one that Airflow `refused`, or why there is none. If another
        thread has renewed it already, that token is returned."""
        with self._renewing:
            if refused is not None and self._token is not None and self._token != refused:
                return self._token
            return self._renew()

    def _renew(self) -> str | Retry | Hold:
        token = self._fetch()
        if isinstance(token, str):
            token = token.strip()
            if not _TOKEN.fullmatch(token):
                what = "holds blanks or line breaks" if token else "is empty"
                return Hold(
                    f"the Airflow token {what}: check DBT_RELAY_AIRFLOW_TOKEN, …_TOKEN_FILE or "
                    "…_TOKEN_COMMAND"
                )
            expiry, now = expires_at(token), self._clock()
            # A token that lives for only a minute must serve more than one record.
            self._renew_at = expiry - min(_RENEW_BEFORE, max(0.0, expiry - now) / 10)
            self._token = token
        return token

    @property
    def is_renewable(self) -> bool:
        """Whether `renew` can return a token that differs from the last one."""
        return not self._login.token

    def _fetch(self) -> str | Retry | Hold:
        login = self._login
        if login.token:
            return login.token
        if login.token_file:
            try:
                return login.token_file.read_text()
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is not text"
                return Hold(f"cannot read the Airflow token file {login.token_file}: {why}")
        if login.token_command:
            return _run(login.token_command)
        if login.username and login.password is not None:
            return self._exchange(login.username, login.password)
        return Hold(
            "no Airflow credentials: set DBT_RELAY_AIRFLOW_TOKEN, _TOKEN_FILE, _TOKEN_COMMAND, or "
            "_USERNAME and _PASSWORD"
        )


def _run(command: str) -> str | Hold:
    """The command's output. Neither the output nor the command is shown: they may hold secrets."""
    try:
        done = subprocess.run(
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Hold(
            f"the Airflow token command did not end within {_COMMAND_TIMEOUT} s: "
            "see DBT_RELAY_AIRFLOW_TOKEN_COMMAND"
        )
    except (OSError, ValueError, IndexError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a command line"
        return Hold(
            f"the Airflow token command cannot be run: {reason}. "
            "See DBT_RELAY_AIRFLOW_TOKEN_COMMAND"
        )
    if done.returncode != 0:
        return Hold(
            f"the Airflow token command ended with exit code {done.returncode}: run the command in "
            "DBT_RELAY_AIRFLOW_TOKEN_COMMAND by hand to see why"
        )
    return done.stdout


def expires_at(token: str) -> float:
    """The `exp` of a JWT in seconds since 1970; infinity for any other token."""
    try:
        claims = token.split(".")[1]
        return float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])
    except (IndexError, ValueError, KeyError, TypeError, OverflowError):
        return float("inf")
