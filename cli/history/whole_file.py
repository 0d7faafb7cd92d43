"""A file that is there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import click

from .. import exit_codes
from ..output.notice import notice

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class ExportError(click.ClickException):
    """The table cannot be written."""

    exit_code = exit_codes.USAGE

    def show(self, file: Any = None) -> None:
        notice(self.message)


@contextlib.contextmanager
def whole_file(path: Path) -> Generator[Path]:
    """A name to write to in the block. The file gets its own name when the block is done.

    Raises ExportError if the file cannot be written; what was there before stays.
    """
    # The name is hidden, and no `*.parquet`, so that nobody who reads the folder takes it along.
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        why = error.strerror or error
        raise ExportError(f"{path} cannot be written: {why}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
