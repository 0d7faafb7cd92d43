"""The project bazaar in the form that dbt v2 accepts: what v2 refuses is written anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_METRICS = """
models:
  - name: metricflow_time_spine
    time_spine: {standard_granularity_column: date_day}
    columns:
      - {name: date_day, granularity: day}
  - name: day_totals
    semantic_model: {enabled: true, name: days}
    agg_time_dimension: on_day
    columns:
      - {name: id, entity: {type: primary, name: total}}
      - {name: on_day, granularity: day, dimension: {type: time, name: on_day}}
    metrics:
      - name: turnover
        label: Turnover
        type: simple
        agg: sum
        expr: amount
        config: {tags: [weekly], group: finance_team}
saved_queries:
  - name: weekly_turnover
    config: {tags: [weekly]}
    query_params:
      metrics: [turnover]
      group_by: ["TimeDimension('total__on_day')"]
"""
_ARGUMENTS = r"to: (.*)\n\s+field: (.*)"


def make_acceptable(project: Path) -> None:
    """Move tags, groups and access into `config`, the arguments of a test into `arguments`, and
    the semantic model into its model."""
    models = project / "models"
    _change(models / "staging" / "sources.yml", (r"tags: (\[.*\])", r"config: {tags: \1}"))
    _change(
        models / "marts" / "marts.yml",
        (r"access: (\w+)\n    group: (\w+)", r"config: {access: \1, group: \2}"),
        (r"    group: (\w+)", r"    config: {group: \1}"),
        (r"tags: (\[.*\])", r"config: {tags: \1}"),
        (_ARGUMENTS, r'arguments: {to: "\1", field: \2}'),
    )
    (models / "metrics" / "metrics.yml").write_text(_METRICS)


def _change(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for pattern, replacement in changes:
        text = re.sub(pattern, replacement, text)
    path.write_text(text)
