"""The command `dbt-relay`."""

from .main import main

__all__ = ["main"]
