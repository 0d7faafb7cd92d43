"""What to tell the owners of a run's nodes: one message for each owner, by root cause.

A failed run tells an owner what failed, and how many of the owner's nodes dbt skipped for it. The
first run in which all is green again tells that, once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from ..records.display import displayed, in_one_line
from ..records.plural import counted
from ..records.schema import NodeRecord
from ..records.values import is_array, is_object
from .waiting.wording import result_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LONGEST_MESSAGE: Final = 600


@dataclass(frozen=True, slots=True)
class Trouble:
    """A node that is not green, and its owner.

    `cause` is the node that failed: the node itself, or the one for which dbt skipped it. `message`
    is dbt's text about the cause, if it is known.
    """

    name: str
    owner: str
    cause: str
    message: str | None = None

    @classmethod
    def of(cls, record: NodeRecord, owner: str) -> Trouble | None:
        """The trouble that a record tells; None for a node that has succeeded, or that dbt skipped
        for another reason than a failure."""
        name = record.unique_id
        if record.has_succeeded:
            return None
        if record.outcome != "skipped":
            return cls(name, owner, name, record.explanation or result_text(record))
        return cls(name, owner, record.caused_by) if record.caused_by else None


@dataclass(frozen=True, slots=True)
class Told:
    """What an owner was told last, and in which DAG run."""

    run_id: str
    causes: tuple[str, ...]

    @classmethod
    def of(cls, value: Any) -> Told | None:
        """From its JSON form; None for any other value."""
        if not is_object(value):
            return None
        causes = value.get("causes")
        names = [str(cause) for cause in causes] if is_array(causes) else []
        return cls(str(value.get("run_id")), tuple(names))


@dataclass(frozen=True, slots=True)
class News:
    """The messages by owner, and what each owner with open trouble has been told then."""

    messages: dict[str, str]
    told: dict[str, Told]

    def told_to_json(self) -> dict[str, Any]:
        return {owner: asdict(told) for owner, told in self.told.items()}


def news(troubles: Iterable[Trouble], told: Mapping[str, Any], run_id: str) -> News:
    """The messages after a run. `told` is `told_to_json` of the news before, or empty.

    An owner is told once for each run, and again only if other nodes are the cause: a task that was
    cleared and fails as before is no news.
    """
    before = {owner: known for owner, value in told.items() if (known := Told.of(value))}
    found = [*troubles]
    messages: dict[str, str] = {}
    now: dict[str, Told] = {}
    for owner in sorted({trouble.owner for trouble in found}):
        own = [trouble for trouble in found if trouble.owner == owner]
        now[owner] = Told(run_id, tuple(sorted({trouble.cause for trouble in own})))
        if now[owner] != before.get(owner):
            messages[owner] = _failure(own, found)
    for owner in sorted(before.keys() - now.keys()):
        messages[owner] = f"Green again: {in_one_line(', '.join(before[owner].causes))}"
    return News(messages, now)


def _failure(own: Sequence[Trouble], found: Sequence[Trouble]) -> str:
    """The message about an owner's nodes. Another owner's node may be the cause."""
    messages = {trouble.cause: trouble.message for trouble in found if trouble.message}
    owners = {trouble.name: trouble.owner for trouble in found}
    parts: list[str] = []
    for cause in dict.fromkeys(trouble.cause for trouble in own):
        after = sum(trouble.cause == cause != trouble.name for trouble in own)
        owner = owners.get(cause, own[0].owner)
        whose = f" (of {owner})" if owner != own[0].owner else ""
        skipped = f"; {counted(after, 'node was', 'nodes were')} skipped for it" if after else ""
        lines = [f"{in_one_line(cause)}{whose} failed{skipped}"]
        if message := messages.get(cause):
            lines += _shortened(displayed(message)).splitlines()
        parts.append("\n  ".join(lines))
    return "\n".join(parts)


def _shortened(message: str) -> str:
    rest = len(message) - _LONGEST_MESSAGE
    return message if rest <= 0 else f"{message[:_LONGEST_MESSAGE]} … ({rest:,} more characters)"


def for_templates(
    unique_id: str,
    reason: str = "dbt reported no result: see the log of the task",
    record: NodeRecord | None = None,
) -> dict[str, Any]:
    """The record of a failed node, or of a node without a record, for the template of a notifier.

    It has every field of a NodeRecord, None if it is not known, because a template of Airflow
    raises an error for a field that is absent. `message` is dbt's text, or else the `reason`.
    """
    known = record.to_json() if record is not None else {}
    blank = dict.fromkeys(field.name for field in fields(NodeRecord))
    return {**blank, "unique_id": unique_id, **known, "message": known.get("message") or reason}
