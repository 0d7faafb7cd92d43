"""On the path of the commands under test: has `airflow_client` import only what is asked for.

Its packages import every API and model there is, 1.5 s of processor time of which the relay needs
a quarter. Over 200 trials that is most of the time. What is then used is the client as it is.
"""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

_ENTERED = {f"airflow_client.client{part}" for part in ("", ".api", ".models")}
_IMPORT = re.compile(r"^\s*from (\S+) import (\w+)", re.MULTILINE)


class _Reluctant:
    """Finds these packages, and loads them without running what their `__init__.py` says."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in _ENTERED else None
        if spec is not None:
            spec.loader = cls()  # pyright: ignore[reportAttributeAccessIssue]
        return spec

    @staticmethod
    def create_module(_: ModuleSpec) -> None:
        """As usual."""

    @staticmethod
    def exec_module(module: ModuleType) -> None:
        source = Path(str(module.__file__)).read_text()
        homes = {name: home for home, name in _IMPORT.findall(source)}

        def lookup(name: str) -> Any:
            if name not in homes:
                raise AttributeError(name)
            return getattr(import_module(homes[name]), name)

        module.__getattr__ = lookup  # pyright: ignore[reportAttributeAccessIssue]


sys.meta_path.insert(0, _Reluctant)  # pyright: ignore[reportArgumentType]
