"""The files and folders of a project that its nodes name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from .names import is_pattern, matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ROOT = ""


class Folders:
    """A tree of paths, searched with the patterns of `pathlib.Path.glob`, which dbt uses.

    dbt searches the project's folder, which the reader of a manifest may not have. A file outside
    this tree belongs to no node.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._names: dict[str, set[str]] = {_ROOT: set()}
        for path in paths:
            below = path
            while below:
                folder, _, name = below.rpartition("/")
                names = self._names.setdefault(folder, set())
                if name in names:
                    break
                names.add(name)
                below = folder

    def glob(self, pattern: str) -> set[str]:
        """The files and folders that match. The empty path is the project's own folder."""
        found = {_ROOT}
        for part in PurePosixPath(pattern).parts:
            found = set(self._step(found, part))
        return {path for path in found if path in self._names} if pattern.endswith("/") else found

    def _step(self, folders: set[str], part: str) -> Iterator[str]:
        if part == "**":
            for folder in folders:
                yield from self._below(folder)
            return
        matches = matcher(part) if is_pattern(part) else None
        for folder in folders:
            names = self._names.get(folder, frozenset[str]())
            for name in filter(matches, names) if matches else names & {part}:
                yield f"{folder}/{name}" if folder else name

    def _below(self, folder: str) -> Iterator[str]:
        """A folder, and the folders in it at any depth."""
        if folder not in self._names:
            return
        found = [folder]
        for one in found:  # grows while it is read
            yield one
            below = (f"{one}/{name}" if one else name for name in self._names[one])
            found += [path for path in below if path in self._names]


def with_folders(path: str) -> Iterator[str]:
    """A path, and the folders around it up to the root."""
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield _ROOT
