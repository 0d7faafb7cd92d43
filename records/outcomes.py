"""The five outcomes of a node, and the dbt status words that mean them."""

from __future__ import annotations

from typing import Final, Literal

Outcome = Literal["success", "warning", "failure", "skipped", "interrupted"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("success", "warning", "failure", "skipped", "interrupted")

SUCCESSFUL: Final[tuple[Outcome, ...]] = ("success", "warning")
"""The outcomes after which dbt runs the nodes downstream."""

FAILED: Final[tuple[Outcome, ...]] = ("failure", "interrupted")
"""The outcomes of a node that did not end well. A skipped node never began."""

_OUTCOME_OF_STATUS: Final[dict[str, Outcome]] = {
    "success": "success",
    "pass": "success",
    "no-op": "success",
    "reused": "success",
    "warn": "warning",
    "error": "failure",
    "fail": "failure",
    "runtime error": "failure",
    "partial success": "failure",
    "skipped": "skipped",
    "interrupted": "interrupted",
    "cancelled": "interrupted",
    "canceled": "interrupted",
}


REPEATS_STATUS: Final = frozenset(
    {
        "Compilation Error",
        "Error",
        "Pass",
        "Skipped",
        "Skipped due to upstream failure",
        "Succeeded",
        "Warn",
    }
)
"""Messages of dbt v2 that say no more than the status."""


def known_outcome(status: str) -> Outcome | None:
    """The outcome of a dbt status word; None for a word that no known dbt uses."""
    return _OUTCOME_OF_STATUS.get(status)


def outcome_of(status: str) -> Outcome:
    """The outcome of a dbt status word.

    A partial success is a failure, because dbt exits with 1 after it. An unknown word is a warning:
    neither green nor red until a person has looked at the node (`NodeRecord.is_doubtful`).
    """
    return _OUTCOME_OF_STATUS.get(status, "warning")


def is_successful(status: str) -> bool:
    """Whether dbt uses this status word for a node that succeeded, perhaps with a warning."""
    return _OUTCOME_OF_STATUS.get(status) in SUCCESSFUL
