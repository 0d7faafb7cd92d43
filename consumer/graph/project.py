"""The files of a project that say what no manifest has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...records.values import is_array, is_object, text

if TYPE_CHECKING:
    from pathlib import Path

    from ...records.values import JsonObject

_FILE = "dbt_project.yml"
_SELECTORS = "selectors.yml"


def read_flag(manifest: Path, project_name: str | None, flag: str) -> str | None:
    """A flag of the manifest's project; None if the project file does not set it.

    In dbt environment variables and the command line override the flag; they are unknown here.
    """
    folder = _project_folder(manifest, project_name)
    project = _read_yaml(folder / _FILE) if folder else {}
    flags = project.get("flags")
    return text(flags.get(flag)) if is_object(flags) else None


def read_selectors(manifest: Path, project_name: str | None) -> list[JsonObject]:
    """The entries of the project's `selectors.yml` that have a name."""
    folder = _project_folder(manifest, project_name)
    entries = _read_yaml(folder / _SELECTORS).get("selectors") if folder else None
    found: list[Any] = entries if is_array(entries) else []
    return [entry for entry in found if is_object(entry) and text(entry.get("name"))]


def _project_folder(manifest: Path, project_name: str | None) -> Path | None:
    """The folder of `dbt_project.yml`: it lies beside the manifest or one folder above, and has the
    same project name."""
    beside = manifest.absolute().parent
    for folder in (beside, beside.parent):
        if text(_read_yaml(folder / _FILE).get("name")) == (project_name or ""):
            return folder
    return None


def _read_yaml(path: Path) -> JsonObject:
    """The object in a file; an empty one if there is none, or no reader of YAML."""
    try:
        from yaml import YAMLError, safe_load  # noqa: PLC0415 - Airflow and dbt install it
    except ImportError:
        return {}
    try:
        found: Any = safe_load(path.read_bytes())
    except (OSError, YAMLError, ValueError, RecursionError):
        return {}
    return found if is_object(found) else {}
