"""Tables as datasets of OpenLineage, with what dbt's manifest and catalog say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import attr
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    data_quality_assertions_dataset,
    datasource_dataset,
    documentation_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from ...records.values import is_array, is_object, number, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records.schema import NodeRecord
    from ...records.values import JsonObject
    from ..artifacts import Artifacts
    from .setting import Setting

WRITERS: Final = ("model.", "seed.", "snapshot.")
"""Nodes that write a table. An ephemeral model writes none."""
_READABLE: Final = (*WRITERS, "source.")


class Datasets:
    """The tables that the nodes of one run read and write. Reads dbt's files when asked."""

    def __init__(self, setting: Setting, artifacts: Artifacts) -> None:
        self._setting = setting
        self._artifacts = artifacts

    def inputs(
        self, record: NodeRecord, node: JsonObject, *, has_result: bool
    ) -> list[InputDataset]:
        """The tables that a node reads. A test with a result has its assertion on each of them."""
        facets: dict[str, Any] = {}
        if has_result and record.unique_id.startswith("test."):
            facets["dataQualityAssertions"] = _assertions(record, node)
        return [
            InputDataset(
                namespace=found.namespace,
                name=found.name,
                facets=found.facets,
                inputFacets=facets,
            )
            for parent in self._parents(record.invocation_id, node)
            if (found := self._dataset(*parent)) is not None
        ]

    def outputs(
        self, record: NodeRecord, node: JsonObject | None, *, has_result: bool
    ) -> list[OutputDataset]:
        """The table that a node writes; once it is written, with its statistics."""
        if not record.unique_id.startswith(WRITERS):
            return []
        found = self._dataset(record.unique_id, node) if node is not None else self._named(record)
        if found is None:
            return []
        return [
            OutputDataset(
                namespace=found.namespace,
                name=found.name,
                facets=found.facets,
                outputFacets=_statistics(record) if has_result else {},
            )
        ]

    def _parents(
        self, invocation_id: str | None, node: JsonObject
    ) -> Iterator[tuple[str, JsonObject]]:
        """The tables behind a node, in place of the ephemeral models in between."""
        attached = text(node.get("attached_node"))
        left = [attached] if attached else _needs(node)
        seen: set[str] = set()
        while left:
            name = left.pop(0)
            if name in seen or not name.startswith(_READABLE):
                continue
            seen.add(name)
            parent = self._artifacts.node(invocation_id, name)
            if parent is None:
                continue
            if _is_ephemeral(parent):
                left += _needs(parent)
            else:
                yield name, parent

    def _dataset(self, unique_id: str, node: JsonObject) -> Dataset | None:
        namespace = self._setting.datasets
        # Other programs know a table by the name that it has in the warehouse.
        named = "identifier" if unique_id.startswith("source.") else "alias"
        table = text(node.get(named)) or text(node.get("name"))
        if namespace is None or table is None or _is_ephemeral(node):
            return None
        name = _dotted(node.get("database"), node.get("schema"), table)
        return Dataset(namespace=namespace, name=name, facets=self._facets(unique_id, node))

    def _named(self, record: NodeRecord) -> Dataset | None:
        """The table of a record alone, whose manifest is gone."""
        if self._setting.datasets is None or record.relation is None:
            return None
        parts = record.relation.replace("`", '"').split(".")
        name = _dotted(*(part.strip('"[]') for part in parts))
        return Dataset(namespace=self._setting.datasets, name=name)

    def _facets(self, unique_id: str, node: JsonObject) -> dict[str, DatasetFacet]:
        namespace = self._setting.datasets
        facets: dict[str, DatasetFacet] = {
            "dataSource": datasource_dataset.DatasourceDatasetFacet(name=namespace, uri=namespace)
        }
        if description := text(node.get("description")):
            facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(
                description=description
            )
        if fields := _fields(node, self._artifacts.catalog(unique_id)):
            facets["schema"] = schema_dataset.SchemaDatasetFacet(fields=fields)
        return facets


def known_to(facet: type[Any], **fields: Any) -> dict[str, Any]:
    """The fields that the installed client's facet has: older clients lack some."""
    names = {field.name for field in attr.fields(facet)}
    return {name: value for name, value in fields.items() if name in names}


def _expected(config: JsonObject, severity: str | None) -> str:
    """The number of failing rows that a test allows: 0, or a threshold of its own."""
    is_warning = (severity or "").lower() == "warn"
    threshold = config.get("warn_if" if is_warning else "error_if")
    words = "".join(str(threshold or "").split())
    return "0" if words in ("", "!=0") else str(threshold)


def _needs(node: JsonObject) -> list[str]:
    """The nodes that a node depends on."""
    listed = node.get("depends_on")
    names = listed.get("nodes") if is_object(listed) else None
    return [name for name in names if text(name)] if is_array(names) else []


def _is_ephemeral(node: JsonObject) -> bool:
    config = node.get("config")
    return is_object(config) and config.get("materialized") == "ephemeral"


def _dotted(*parts: Any) -> str:
    return ".".join(part for part in parts if isinstance(part, str) and part)


def _fields(
    node: JsonObject, catalog: JsonObject | None
) -> list[schema_dataset.SchemaDatasetFacetFields]:
    """The columns: all of them from the catalog, else those that the project describes."""
    described = _objects(node.get("columns"))
    known = _objects(catalog.get("columns")) if catalog is not None else {}
    return [
        schema_dataset.SchemaDatasetFacetFields(
            name=text(column.get("name")) or name,
            type=text(column.get("type")) or text(column.get("data_type")),
            description=text(described.get(name, {}).get("description")),
        )
        for name, column in (known or described).items()
    ]


def _objects(value: Any) -> dict[str, JsonObject]:
    return {k: v for k, v in value.items() if is_object(v)} if is_object(value) else {}


def _statistics(record: NodeRecord) -> dict[str, Any]:
    """Rows and bytes, where the warehouse told them. Some adapters report -1 for a view."""
    told = record.adapter_response or {}
    rows, size = number(told.get("rows_affected")), number(told.get("bytes_processed"))
    rows = rows if rows is not None and rows >= 0 and record.materialized != "view" else None
    if rows is None and not size:
        return {}
    facet = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=rows, size=size or None
    )
    return {"outputStatistics": facet}


def _assertions(
    record: NodeRecord, node: JsonObject
) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    """The result of a test as an assertion on the table that it tests."""
    generic = node.get("test_metadata")
    given = generic.get("kwargs") if is_object(generic) else None
    config = node.get("config")
    column = text(given.get("column_name")) if is_object(given) else None
    severity = text(config.get("severity")) if is_object(config) else None
    kind = text(generic.get("name")) if is_object(generic) else None
    name = text(node.get("name"))
    counted: dict[str, str] = {}
    if record.failures is not None:
        counted = {
            "actual": str(record.failures),
            "expected": _expected(config if is_object(config) else {}, severity),
        }
    assertion = data_quality_assertions_dataset.Assertion(
        assertion=kind or name or record.unique_id,
        success=record.status == "pass",
        column=column or text(node.get("column_name")),
        **known_to(
            data_quality_assertions_dataset.Assertion,
            severity=severity.lower() if severity else None,
            name=name,
            **counted,
        ),
    )
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(assertions=[assertion])
