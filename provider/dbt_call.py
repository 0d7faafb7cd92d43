"""The words and the environment of a dbt command that an operator or a sensor starts."""

from __future__ import annotations

import os
import re
import shlex
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk.execution_time.context import context_to_airflow_vars

from .lineage import lineage_variables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SKIP: Final = 99
"""The exit code of a command that skips its task, as for BashOperator."""
GRACE: Final = "3"
"""Seconds for dbt to cancel its queries. Airflow 3 kills a task 5 s after its SIGTERM."""
_RELAY: Final = (sys.executable, "-m", "dbt_relay")
_SHELL: Final = frozenset("|&;<>()$`*?[]#~!{}\n")
"""Characters that only a shell understands."""
_QUOTED: Final = re.compile(r"""'[^']*'|"[^"$`\\]*\"""")
_JINJA: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A command to start: its words, its whole environment, its folder."""

    words: list[str]
    env: dict[str, str]
    cwd: str | None


def relay_call(*words: str) -> list[str]:
    """The command that starts the dbt-relay of this environment."""
    return [*_RELAY, *words]


def needs_shell(command: str | Sequence[str]) -> bool:
    """Whether the command is a text that only a shell understands. Jinja's braces do not count."""
    if not isinstance(command, str):
        return False
    return not _SHELL.isdisjoint(_QUOTED.sub("", _JINJA.sub("", command)))


def words_of(command: str | Sequence[str]) -> list[str]:
    """The words of a command. A text that only a shell understands becomes a call of bash."""
    if not isinstance(command, str):
        return [*command]
    return ["bash", "-c", command] if needs_shell(command) else shlex.split(command)


def environment_of(
    context: Any, env: Mapping[str, str] | None, *, append_env: bool = True
) -> dict[str, str]:
    """What Airflow says of the task, `env`, and the worker's own variables if wanted."""
    own = context_to_airflow_vars(context, in_env_var_format=True)
    inherited = os.environ if append_env or env is None else {}
    told = {**own, **lineage_variables(context), **(env or {})}
    return {**inherited, **told, "DBT_RELAY_LOG_LEVELS": "1"}


def describe_exit(code: int) -> str:
    """How a process ended, by its exit code or -N for signal N."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
