"""What a sink may ask of the files that dbt writes for an invocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..records.schema import NodeRecord
    from ..records.values import JsonObject


class Artifacts(Protocol):
    """Files of dbt's target folder. Only a delivery thread reads them: it may take a second."""

    def node(self, invocation_id: str | None, unique_id: str) -> JsonObject | None:
        """A node of the manifest; None if the manifest is absent or of another invocation."""
        ...

    def catalog(self, unique_id: str) -> JsonObject | None:
        """A node of the catalog, which an earlier `dbt docs generate` wrote; None if absent."""
        ...

    def sql(self, record: NodeRecord, node: JsonObject) -> str | None:
        """The compiled code that this node ran, without secrets; None if it is not there."""
        ...


class NoArtifacts:
    """The files of a run that has left none."""

    def node(self, invocation_id: str | None, unique_id: str) -> JsonObject | None:
        del invocation_id, unique_id

    def catalog(self, unique_id: str) -> JsonObject | None:
        del unique_id

    def sql(self, record: NodeRecord, node: JsonObject) -> str | None:
        del record, node
