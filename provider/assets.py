"""Asset events for what dbt has built: an event certifies a relation whose tests have passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Asset, AssetAlias

from ..consumer.certificates import certificate, certified
from ..consumer.graph.manifest import Manifest
from ..records.schema import NodeRecord, read_record
from ..records.xcom import xcom_key, xcom_value
from .reader import TaskReader

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    `manifest` is the path of dbt's manifest of this run. Raises ManifestError.
    """
    for relation, known in certified(records, Manifest.read(manifest)):
        context["outlet_events"][alias].add(Asset(relation), extra=known)


def certify(context: Any, asset: Asset, unique_id: str, tests: int, waiting: Waiting) -> None:
    """Put the certificate of a node into the event of its asset."""
    value = TaskReader().xcom(waiting, xcom_key(unique_id, waiting.key_prefix))
    record = read_record(xcom_value(value))
    if isinstance(record, NodeRecord):
        context["outlet_events"][asset].extra.update(certificate(record, tests))
