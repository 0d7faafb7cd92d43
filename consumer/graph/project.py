"""The flags of a project, which no manifest has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...records.values import is_object, text

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "dbt_project.yml"


def read_flag(manifest: Path, project_name: str | None, flag: str) -> str | None:
    """A flag of the manifest's project; None if the project file does not set it.

    The file `dbt_project.yml` lies beside the manifest or one folder above, and must have the same
    project name. In dbt environment variables and the command line override the flag; they are
    unknown here.
    """
    try:
        from yaml import YAMLError, safe_load  # noqa: PLC0415 - Airflow and dbt install it
    except ImportError:
        return None
    folder = manifest.absolute().parent
    for place in (folder, folder.parent):
        try:
            project: Any = safe_load((place / _FILE).read_bytes())
        except (OSError, YAMLError, ValueError, RecursionError):
            continue
        if is_object(project) and text(project.get("name")) == project_name:
            flags = project.get("flags")
            return text(flags.get(flag)) if is_object(flags) else None
    return None
