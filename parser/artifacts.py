"""dbt's `run_results.json` (v4 to v6)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..records.values import is_array, is_object, text
from .decoding import decode

if TYPE_CHECKING:
    from .secrets import Secrets


@dataclass(frozen=True, slots=True)
class RunResults:
    """The results of one invocation by unique_id, in the form that dbt wrote."""

    invocation_id: str
    results: dict[str, dict[str, Any]]

    def masked(self, secrets: Secrets) -> RunResults:
        """These results with the secrets masked: dbt masks its logs, but not this file."""
        return replace(self, results=secrets.mask(self.results)) if secrets else self


def read_run_results(artifact: bytes) -> RunResults | None:
    """The results in a `run_results.json`; None if the bytes are something else."""
    document = decode(artifact)
    metadata = document.get("metadata") if is_object(document) else None
    invocation_id = text(metadata.get("invocation_id")) if is_object(metadata) else None
    listed = document.get("results") if is_object(document) else None
    if invocation_id is None or not is_array(listed):
        return None
    results = {r["unique_id"]: r for r in listed if is_object(r) and text(r.get("unique_id"))}
    return RunResults(invocation_id, results)


def file_name(path: str) -> str:
    """The last part of a path of POSIX or Windows."""
    return path.replace("\\", "/").rpartition("/")[2]
