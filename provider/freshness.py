"""The check of a group's sources before dbt builds what reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ..consumer.waiting.look import Waiting
from ..records.schema import NodeRecord, read_record
from ..records.task import TaskInstance
from ..records.xcom import xcom_key, xcom_value
from .operator import DbtRelayOperator
from .reader import TaskReader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..consumer.graph.plan import NodeTask

CHECK: Final = "source_freshness"
_OF_DBT_ALONE: Final = frozenset(
    {
        "select", "exclude", "indirect_selection", "full_refresh", "resume", "assets", "manifest",
        "outlets", "task_display_name",
    }
)  # fmt: skip
"""Options of the task that runs dbt, which the check does not have."""
_CHOOSE: Final = frozenset(
    {"--select", "-s", "--models", "--model", "-m", "--exclude", "--selector"}
)


class DbtSourceFreshnessOperator(DbtRelayOperator):
    """Runs `dbt source freshness` with the program and the place of `command`.

    It succeeds if dbt has checked the sources: the result of each source is a record, for which
    another task stands.
    """

    _flags: ClassVar[Sequence[str]] = ("--freshness",)
    _good_codes: ClassVar[Sequence[int]] = (0, 1)


@dataclass(frozen=True, slots=True)
class StaleSources:
    """Finds the sources that are not known to be fresh enough, in each run of the DAG.

    `terms` select each source alone. `default_selector` is the manifest's, `key_prefix` the
    `--key-prefix` of `dbt-relay run`.
    """

    check_task_id: str
    terms: Mapping[str, str]
    default_selector: str | None
    key_prefix: str = ""

    def __call__(self, context: Any) -> list[str]:
        """What dbt must leave out: the sources and all that reads them, as terms of `--exclude`."""
        own = context["ti"]
        place = TaskInstance(own.dag_id, own.run_id, self.check_task_id, own.map_index)
        check = Waiting((), place)
        reader = TaskReader()
        found: list[str] = []
        for unique_id, term in self.terms.items():
            value = reader.xcom(check, xcom_key(unique_id, self.key_prefix))
            record = read_record(xcom_value(value))
            if not isinstance(record, NodeRecord) or not record.has_succeeded:
                found.append(f"{term}+")
        if found:
            context["task"].log.warning("dbt leaves out %s", " ".join(found))
            _refuse_selector(context["task"], self.default_selector)
        return found


def _refuse_selector(task: DbtRelayOperator, default_selector: str | None) -> None:
    """Raise ValueError if dbt chooses the nodes by a selector. dbt 1.11 ignores `--exclude` beside
    `--selector`, and every dbt ignores the default selector beside `--exclude`."""
    names = {word.partition("=")[0] for word in task.words}
    by_default = default_selector if names.isdisjoint(_CHOOSE) else None
    if by_default or "--selector" in names:
        name = f"the default selector {by_default!r}" if by_default else "a selector"
        raise ValueError(
            f"source_freshness: {name} chooses the nodes, and dbt cannot leave out any of them: "
            "give select or exclude without selector:"
        )


def add_check(
    producer: Any,
    planned: Sequence[NodeTask],
    options: Mapping[str, Any],
    default_selector: str | None,
    sensors: Mapping[str, Any],
) -> DbtRelayOperator | None:
    """Add a task before the producer that checks the planned sources; None if there are none.

    The producer leaves out what reads a stale source. `options` are those of the producer,
    `sensors` those of all sensors. Raises ValueError for a producer that cannot leave nodes out.
    """
    terms = {task.node.unique_id: task.selector for task in planned if task.is_check}
    if not terms:
        return None
    if options["command"] is None or not producer.can_select:
        raise ValueError(
            "source_freshness makes a call of `dbt source freshness` of the group's command: give "
            "one call of dbt as command, and no producer"
        )
    _refuse_selector(producer, default_selector)
    own = {name: value for name, value in options.items() if name not in _OF_DBT_ALONE}
    own["relay_options"] = {**(own.get("relay_options") or {}), "only": " ".join(terms.values())}
    check = DbtSourceFreshnessOperator(task_id=CHECK, resume=False, **own)
    check.set_downstream(producer)
    producer.leave_out = StaleSources(
        check.task_id, terms, default_selector, sensors.get("key_prefix", "")
    )
    return check
