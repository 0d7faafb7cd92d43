"""The files of a project that say what no manifest has."""

from __future__ import annotations

from dataclasses import dataclass
from os.path import relpath
from typing import TYPE_CHECKING, Any

from ...records.values import is_array, is_object, text

if TYPE_CHECKING:
    from pathlib import Path

    from ...records.values import JsonObject

_FILE = "dbt_project.yml"
_SELECTORS = "selectors.yml"
PACKAGES = "dbt_packages"
"""The folder of the packages in a project that does not name another one."""


@dataclass(frozen=True, slots=True)
class Project:
    """The folder of a project, and what its `dbt_project.yml` says."""

    folder: Path
    document: JsonObject

    @classmethod
    def of(cls, manifest: Path, project_name: str | None) -> Project | None:
        """The manifest's project: its file lies beside the manifest or one folder above, and has
        the same project name."""
        beside = manifest.absolute().parent
        for folder in (beside, beside.parent):
            document = _read_yaml(folder / _FILE)
            if text(document.get("name")) == (project_name or ""):
                return cls(folder, document)
        return None

    def flag(self, name: str) -> str | None:
        """A flag of the project; None if it does not set the flag.

        In dbt environment variables and the command line override the flag; they are unknown here.
        """
        flags = self.document.get("flags")
        return text(flags.get(name)) if is_object(flags) else None

    @property
    def packages(self) -> str:
        """The folder in which the packages lie, relative to the project.

        PACKAGES too if an environment variable decides, which is unknown here.
        """
        named = text(self.document.get("packages-install-path")) or PACKAGES
        if "{{" in named:
            return PACKAGES
        return relpath(self.folder / named, self.folder)

    def selectors(self) -> list[JsonObject]:
        """The entries of the project's `selectors.yml` that have a name."""
        entries = _read_yaml(self.folder / _SELECTORS).get("selectors")
        found: list[Any] = entries if is_array(entries) else []
        return [entry for entry in found if is_object(entry) and text(entry.get("name"))]


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
