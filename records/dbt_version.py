"""What a version of dbt tells of the dbt."""

from __future__ import annotations


def is_v2(version: str | None) -> bool:
    """Whether this is the version of a dbt v2, whose log and files have other facts than 1.x.

    An unknown version is not.
    """
    return version is not None and not version.startswith(("0.", "1."))
