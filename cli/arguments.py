"""A dbt command line taken apart, so that another one can be made of its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_WITH_VALUE: Final = frozenset(
    {
        "--defer-state", "--event-time-end", "--event-time-start", "--indirect-selection",
        "--log-file-max-bytes", "--log-format", "--log-format-file", "--log-level",
        "--log-level-file", "--log-path", "--maximum-seed-size-mib", "--output", "--args",
        "--partial-parse-file-path", "--printer-width", "--profile", "--profiles-dir",
        "--project-dir", "--record-timing-info", "--sample", "--selector", "--sqlparse", "--state",
        "--target", "--target-path", "--threads", "--vars", "--warn-error-options", "-r", "-t",
    }
)  # fmt: skip
_WITH_VALUES: Final = frozenset(
    {
        "--exclude", "--exclude-resource-type", "--exclude-resource-types", "--model", "--models",
        "--output-keys", "--resource-type", "--resource-types", "--select", "-m", "-s",
    }
)  # fmt: skip
"""Each takes all words up to the next option (dbt's `MultiOption`)."""

_TWO_WORDS: Final = frozenset({"docs", "source"})
MODULE: Final = "dbt.cli.main"
_DBT: Final = ("dbt", MODULE)


def position_of_dbt(command: Sequence[str]) -> int | None:
    """Where dbt's own arguments begin: 0 if the command is dbt, else behind a wrapper's words."""
    for at, word in enumerate(command):
        if PurePath(word).name.removesuffix(".exe") in _DBT:
            return at
    return None


@dataclass(frozen=True, slots=True)
class Option:
    """An option with its values, as words: `--select a b`, `--vars={}`, `--full-refresh`."""

    name: str
    words: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        joined = self.words[0].partition("=")
        return joined[2:] if joined[1] else self.words[1:]


@dataclass(frozen=True, slots=True)
class DbtArguments:
    """`dbt` with what is before it, options of all commands, the subcommand and its options."""

    program: tuple[str, ...]
    before: tuple[Option, ...]
    subcommand: str
    options: tuple[Option, ...]
    others: tuple[str, ...]
    """What is neither: the macro of a `run-operation`."""

    @classmethod
    def of(cls, command: Sequence[str]) -> DbtArguments | None:
        """The parts of a command; None if it does not end in one call of dbt."""
        at = position_of_dbt(command)
        if at is None:
            return None
        before: list[Option] = []
        after: list[Option] = []
        others: list[str] = []
        subcommand: list[str] = []
        words = list(command[at + 1 :])
        while words:
            word = words.pop(0)
            if word.startswith("-") and len(word) > 1:
                name, is_joined, _ = word.partition("=")
                taken = [word]
                if not is_joined:
                    most = 1 if name in _WITH_VALUE else len(words) * (name in _WITH_VALUES)
                    while words and len(taken) <= most and not _ends_values(name, words[0]):
                        taken.append(words.pop(0))
                (after if subcommand else before).append(Option(name, tuple(taken)))
            elif not subcommand or (len(subcommand) == 1 and subcommand[0] in _TWO_WORDS):
                subcommand.append(word)
            else:
                others.append(word)
        return cls(
            tuple(command[: at + 1]),
            tuple(before),
            " ".join(subcommand),
            tuple(after),
            tuple(others),
        )

    def has(self, names: Collection[str]) -> bool:
        return any(option.name in names for option in (*self.before, *self.options))

    def words(
        self, subcommand: str, options: Iterable[Option], without: Collection[str] = ()
    ) -> tuple[str, ...]:
        """The command line of a subcommand with these options, and `without` some of any."""
        before = (word for o in self.before if o.name not in without for word in o.words)
        after = (word for o in options if o.name not in without for word in o.words)
        return (*self.program, *before, subcommand, *after)


def _ends_values(name: str, word: str) -> bool:
    # A single value may begin with a dash; of several, the next option ends them.
    return name in _WITH_VALUES and word.startswith("-")
