"""Asset events for what dbt has built: an event certifies a relation whose tests have passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Asset, AssetAlias

from ..consumer.certificates import certificate, certified, unknown_nodes
from ..consumer.graph.manifest import Manifest, ManifestError
from ..records.schema import NodeRecord, read_record
from ..records.xcom import xcom_key, xcom_value
from .reader import TaskReader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..consumer.graph.node import Node
    from ..consumer.waiting.look import Waiting

ALIAS: Final = "dbt"
"""The name of the alias under which an operator without a group adds its events."""


def alias_of(assets: bool | str) -> AssetAlias | None:
    """The alias for the option `assets`, a name or whether there are events at all."""
    if not assets:
        return None
    return AssetAlias(assets if isinstance(assets, str) else ALIAS)


def add_events(
    context: Any, alias: AssetAlias, records: Mapping[str, NodeRecord], manifest: str
) -> None:
    """Add an event for each relation of a run that is certified.

    `manifest` is the path of dbt's manifest of this run. dbt has succeeded, so the task does too,
    whatever is wrong here: its log says so.
    """
    log = context["task"].log
    nodes, trouble = _nodes_of(records, manifest)
    if trouble:
        log.warning("%s. Until then no asset event has the number of its tests", trouble)
    for relation, known in certified(records, nodes):
        try:
            context["outlet_events"][alias].add(Asset(relation), extra=known)
        except ValueError as error:
            log.warning("there is no asset event for %s: Airflow says %s", relation, error)


def _nodes_of(records: Mapping[str, NodeRecord], path: str) -> tuple[Mapping[str, Node], str]:
    """The nodes in the manifest of a run, or none and what is wrong with the manifest."""
    elsewhere = "If dbt writes its manifest to another place, give the path as `manifest`"
    try:
        nodes = Manifest.read(path).nodes
    except ManifestError as error:
        return {}, f"{error}. {elsewhere}"
    if unknown := unknown_nodes(records, nodes):
        return {}, f"the manifest at {path} is of another run: it has no {unknown[0]}. {elsewhere}"
    return nodes, ""


def certify(context: Any, asset: Asset, unique_id: str, tests: int, waiting: Waiting) -> None:
    """Put the certificate of a node into the event of its asset."""
    value = TaskReader().xcom(waiting, xcom_key(unique_id, waiting.key_prefix))
    record = read_record(xcom_value(value))
    if isinstance(record, NodeRecord):
        context["outlet_events"][asset].extra.update(certificate(record, tests))
