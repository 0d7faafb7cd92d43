"""The flags of a project, which dbt writes into no manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...records.values import is_object, text

if TYPE_CHECKING:
    from pathlib import Path

_FILE = "dbt_project.yml"


def read_flag(manifest: Path, project_name: str | None, flag: str) -> str | None:
    """A flag of the project whose manifest this is; None if its file does not tell.

    The file lies beside the manifest, or beside the manifest's folder `target`. It must be of the
    same project. Variables and the command line, which come before it in dbt, are not known here.
    """
    try:
        from yaml import YAMLError, safe_load  # noqa: PLC0415 - Airflow and dbt bring it along
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
