"""Secrets that no output may show: dbt's, and the relay's credentials for Airflow."""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import TYPE_CHECKING, Final

import click

from ...parser.secrets import Secrets
from ...sinks.airflow import PROXIES, passwords
from ..dbt.variables import CREDENTIALS, dbt_secrets
from .streams import write_stderr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PROXY: Final = "DBT_RELAY_PROXY"


def secrets_in(environ: Mapping[str, str], proxy: str | None = None) -> Secrets:
    """The secrets of an environment, and the password in the address of a `proxy`."""
    own = [environ.get(name, "") for name in CREDENTIALS]
    addresses = [environ.get(name) for name in (_PROXY, *PROXIES)]
    for address in (proxy, *addresses):
        own += passwords(address or "")
    return Secrets(dbt_secrets(environ), own=own)


def print_fault(error: BaseException) -> None:
    """Print the traceback of a bug to standard error, without secrets that it may quote."""
    text = "".join(traceback.format_exception(error))
    with contextlib.suppress(OSError, ValueError):
        click.echo(secrets_in(os.environ).mask_text(text), nl=False, err=True)


class MaskedStream:
    """Passes a child's output on, to the relay's own standard error or to `write`, with secrets
    masked.

    Text passes at once, without waiting for the end of a line. Only bytes that may be the start of
    a secret are held until more comes.
    """

    def __init__(self, secrets: Secrets, write: Callable[[bytes], object] = write_stderr) -> None:
        self._secrets = secrets
        self._write = write
        self._held = b""

    def __enter__(self) -> MaskedStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def write(self, chunk: bytes) -> None:
        data = self._held + chunk
        cut = len(data) - self._secrets.unfinished(data)
        self._held = data[cut:]
        self._write(self._secrets.mask_line(data[:cut]))

    def end(self) -> None:
        """Pass on what is held: the child writes nothing more."""
        self._write(self._secrets.mask_line(self._held))
        self._held = b""
