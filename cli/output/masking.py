"""What must not be seen: dbt's secrets, and what lets the relay into Airflow."""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import TYPE_CHECKING, Final

import click

from ...parser.secrets import Secrets
from ...sinks.airflow import PROXIES, passwords
from ..dbt.command import secrets_of
from .streams import write_error

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROXY: Final = "DBT_RELAY_PROXY"
_LOGIN: Final = (
    "DBT_RELAY_AIRFLOW_TOKEN",
    "DBT_RELAY_AIRFLOW_TOKEN_COMMAND",
    "DBT_RELAY_AIRFLOW_PASSWORD",
)


def secrets_in(environ: Mapping[str, str], proxy: str | None = None) -> Secrets:
    """Everything to mask: secrets of the environment, and of the address of a `proxy`."""
    own = [environ.get(name, "") for name in _LOGIN]
    addresses = [environ.get(name) for name in (_PROXY, *PROXIES)]
    for address in (proxy, *addresses):
        own += passwords(address or "")
    return Secrets(secrets_of(environ), own=own)


def print_fault(error: BaseException | None = None) -> None:
    """The traceback of an exception of ours, by default of the one at hand: it may quote whatever
    was at work."""
    text = traceback.format_exc() if error is None else "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError, ValueError):
        click.echo(secrets_in(os.environ).mask_text(text), nl=False, err=True)


class MaskedErrors:
    """What a child writes to its standard error, on its way to ours.

    It need not come in lines: only what may be the beginning of a secret is held back.
    """

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._held = b""

    def __enter__(self) -> MaskedErrors:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def write(self, chunk: bytes) -> None:
        data = self._held + chunk
        cut = len(data) - self._secrets.unfinished(data)
        self._held = data[cut:]
        write_error(self._secrets.mask_line(data[:cut]))

    def end(self) -> None:
        """Nothing more comes for now."""
        write_error(self._secrets.mask_line(self._held))
        self._held = b""
