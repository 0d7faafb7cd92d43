"""A dbt command line, split into parts that another command line can be made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

WITH_VALUE: Final = frozenset(
    {
        "--defer-state", "--event-time-end", "--event-time-start", "--indirect-selection",
        "--log-file-max-bytes", "--log-format", "--log-format-file", "--log-level",
        "--log-level-file", "--log-path", "--maximum-seed-size-mib", "--output", "--args",
        "--partial-parse-file-path", "--printer-width", "--profile", "--profiles-dir",
        "--project-dir", "--record-timing-info", "--sample", "--selector", "--sqlparse", "--state",
        "--target", "--target-path", "--threads", "--vars", "--warn-error-options", "-r", "-t",
    }
)  # fmt: skip
WITH_VALUES: Final = frozenset(
    {
        "--exclude", "--exclude-resource-type", "--exclude-resource-types", "--model", "--models",
        "--output-keys", "--resource-type", "--resource-types", "--select", "-m", "-s",
    }
)  # fmt: skip
"""Options that take every word up to the next option (dbt's `MultiOption`)."""

SELECTION: Final = frozenset(
    {
        "--select", "-s", "--models", "--model", "-m", "--exclude", "--selector",
        "--indirect-selection",
    }
)  # fmt: skip
PLACE: Final = frozenset(
    {"--project-dir", "--profiles-dir", "--profile", "--target", "-t", "--target-path", "--vars"}
)
OF_ALL: Final = frozenset(
    {
        "--debug", "-d", "--log-level", "--log-level-file", "--log-format", "--log-format-file",
        "--log-path", "--log-file-max-bytes", "--quiet", "-q", "--no-quiet", "--use-colors",
        "--no-use-colors", "--use-colors-file", "--no-use-colors-file", "--printer-width",
        "--warn-error", "--warn-error-options", "--no-version-check", "--no-partial-parse",
        "--partial-parse", "--partial-parse-file-path", "--no-static-parser",
        "--no-send-anonymous-usage-stats",
    }
)  # fmt: skip
"""Options of every dbt command that `dbt retry` does not read from its run_results.json."""

NOTHING_ELSE: Final = ("--indirect-selection", "empty")
"""Without it a model by name brings all of its tests. The wanted tests are named themselves."""

SELECTS_TESTS: Final = frozenset({"build", "test"})
"""The other subcommands run no tests, and `dbt run` of 1.7 does not know the option."""

_TWO_WORDS: Final = frozenset({"docs", "source"})
MODULE: Final = "dbt.cli.main"
_DBT: Final = frozenset({"dbt", "dbtf", MODULE})
SUBCOMMANDS: Final = frozenset(
    {
        "build", "clean", "clone", "compile", "debug", "deps", "docs", "fmt", "format", "freshness",
        "help", "init", "license", "lint", "list", "login", "ls", "man", "parse", "retry", "run",
        "run-operation", "seed", "show", "sl", "snapshot", "source", "system", "test", "wizard",
    }
)  # fmt: skip
"""Subcommands of dbt 1.7 to 1.12, and of v2."""

GLOBAL: Final = frozenset(
    {
        "--cache-selected-only", "--debug", "--fail-fast", "--full-refresh", "--help",
        "--introspect", "--log-cache-events", "--partial-parse", "--populate-cache", "--print",
        "--quiet", "--send-anonymous-usage-stats", "--static-parser", "--use-colors",
        "--use-colors-file", "--use-experimental-parser", "--version", "--version-check",
        "--warn-error", "--write-json", "-V", "-d", "-h", "-q", "-x",
    }
)  # fmt: skip
_ABOUT: Final = frozenset({"--help", "--version", "-V", "-h", "-v"})
_SHORT_FLAGS: Final = "dqxfhvV"
_SHORT_WITH_VALUE: Final = "rtsm"


def position_of_dbt(command: Sequence[str]) -> int | None:
    """The index of the word that starts dbt: 0 for dbt itself, more behind a wrapper; None if none.

    A folder, a user or a container may be called dbt too. So a word counts only if nothing, a
    subcommand or an option of dbt follows. The last such word is dbt, unless it is a value of an
    option of the one before: `dbt run --select dbt build`.
    """
    named = [at for at, word in enumerate(command) if _is_dbt(word)]
    if named and named[0] == 0:
        return 0
    fitting = [at for at in named if _fits(command[at + 1 :])]
    if not fitting:
        return next((at for at in reversed(named) if _may_fit(command[at + 1 :])), None)
    found = fitting[0]
    for at in fitting[1:]:
        if at - found - 1 not in _values(command[found + 1 :]):
            found = at
    return found


def asks_about_dbt(command: Sequence[str]) -> bool:
    """Whether the command only asks dbt for its help or its version, which leaves no log."""
    at = position_of_dbt(command)
    if at is None:
        return False
    words = [*unbundled(command[at + 1 :])]
    return not words or words[0] in ("help", "man") or not _ABOUT.isdisjoint(words)


def _is_dbt(word: str) -> bool:
    return PurePath(word.replace("\\", "/")).name.lower().removesuffix(".exe") in _DBT


def _fits(words: Sequence[str]) -> bool:
    if not words:
        return True
    name = words[0].partition("=")[0]
    yes = name.replace("--no-", "--", 1) if name.startswith("--no-") else name
    is_bundle = len(name) > 2 and set(name[1:]) <= {*"dqxh"} and name[0] == "-"
    return name in SUBCOMMANDS or yes in GLOBAL or name in WITH_VALUE or is_bundle


def _may_fit(words: Sequence[str]) -> bool:
    """Whether an unknown option follows, which a newer dbt may have, and then a subcommand."""
    return words[0].startswith("-") and words[0] != "--" and not SUBCOMMANDS.isdisjoint(words)


def _values(words: Sequence[str]) -> set[int]:
    """The indexes of the words that are values of options."""
    found: set[int] = set()
    name, most = "", 0
    for at, word in enumerate(words):
        if most and not _ends_values(name, word):
            found.add(at)
            most -= 1
        elif word.startswith("-"):
            name = word
            most = 1 if name in WITH_VALUE else len(words) * (name in WITH_VALUES)
    return found


def unbundled(words: Iterable[str]) -> Iterator[str]:
    """The words with each short option by itself: `-dq` is `-d -q`, `-sfoo` is `-s foo`."""
    is_value = False
    for word in words:
        parts = [word] if is_value else _short_options(word)
        is_value = not is_value and parts[-1] in WITH_VALUE
        yield from parts


def _short_options(word: str) -> list[str]:
    if len(word) < 3 or word[0] != "-" or word[1] == "-":
        return [word]
    parts: list[str] = []
    for at, letter in enumerate(word[1:], 1):
        if letter in _SHORT_WITH_VALUE:
            return [*parts, f"-{letter}", *([word[at + 1 :]] if word[at + 1 :] else [])]
        if letter not in _SHORT_FLAGS:
            return [word]
        parts.append(f"-{letter}")
    return parts


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
    """A call of dbt: the program with its wrapper, then options, subcommand and its options.

    `before` are the options in front of the subcommand. `others` are words that belong to no
    option, such as the macro of a `run-operation`.
    """

    program: tuple[str, ...]
    before: tuple[Option, ...]
    subcommand: str
    options: tuple[Option, ...]
    others: tuple[str, ...]

    @classmethod
    def of(cls, command: Sequence[str]) -> DbtArguments | None:
        """The parts of a command; None if it does not end in a call of dbt."""
        at = position_of_dbt(command)
        if at is None:
            return None
        before: list[Option] = []
        after: list[Option] = []
        others: list[str] = []
        subcommand: list[str] = []
        words = list(unbundled(command[at + 1 :]))
        while words:
            word = words.pop(0)
            if word.startswith("-") and len(word) > 1:
                name, is_joined, _ = word.partition("=")
                taken = [word]
                if not is_joined:
                    most = 1 if name in WITH_VALUE else len(words) * (name in WITH_VALUES)
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

    def selecting(self, terms: Iterable[str]) -> tuple[str, ...]:
        """The same call for the nodes that these terms select, and for no others."""
        options = [o for o in self.options if o.name not in SELECTION]
        options.append(Option("--select", ("--select", *terms)))
        if self.subcommand in SELECTS_TESTS:
            options.append(Option(NOTHING_ELSE[0], NOTHING_ELSE))
        return self.words(self.subcommand, options)

    def checking_sources(self, terms: Iterable[str]) -> tuple[str, ...]:
        """A call of `dbt source freshness` in the same place, for all sources or for `terms`."""
        options = [o for o in self.options if o.name in PLACE | OF_ALL | {"--threads"}]
        if select := tuple(terms):
            options.append(Option("--select", ("--select", *select)))
        return self.words("source freshness", options)

    def words(
        self, subcommand: str, options: Iterable[Option], without: Collection[str] = ()
    ) -> tuple[str, ...]:
        """The same call with another subcommand and these options, `without` options by name."""
        before = (word for o in self.before if o.name not in without for word in o.words)
        after = (word for o in options if o.name not in without for word in o.words)
        return (*self.program, *before, *subcommand.split(), *after)


def _ends_values(name: str, word: str) -> bool:
    # A single value may begin with a dash. Several values end at the next option.
    return name in WITH_VALUES and word.startswith("-")
