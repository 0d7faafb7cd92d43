"""An operator that runs dbt and pushes each node's record as soon as dbt reports its result."""

from __future__ import annotations

import json
import os
import shlex
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSkipException,
    BaseOperator,
    context_to_airflow_vars,
)

from .relay_process import RelayProcess

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_SKIP: Final = 99
"""The exit code of a command that skips its task, as for BashOperator."""
_SHELL: Final = frozenset("|&;<>()$`*?[]#~!{}\n")
"""Characters that only a shell understands."""
_GRACE: Final = "3"
"""Seconds for dbt to cancel its queries. Airflow 3 kills a task 5 s after its SIGTERM."""


class DbtRelayError(AirflowException):
    """dbt did not succeed. The message says how dbt ended and names the failed nodes."""


class DbtRelayOperator(BaseOperator):
    """Runs `command` with `dbt-relay run`. Needs no address and no credentials of Airflow.

    Each node's record is an XCom of this task under the node's unique_id. The task's return value
    is a summary: nodes by outcome, the failed nodes, and the figures of delivery.

    :param command: the command that runs dbt, such as `dbt build --select tag:daily`: a list of
        words, or a text. bash runs a text with characters that only a shell knows (templated)
    :param cwd: the folder of the command, usually dbt's project (templated)
    :param env: variables for the command (templated)
    :param append_env: whether the command also gets the worker's variables
    :param select: dbt's `--select` (templated)
    :param exclude: dbt's `--exclude` (templated)
    :param full_refresh: dbt's `--full-refresh` (templated)
    :param vars: dbt's `--vars` (templated)
    :param resume: on a later try, run only the nodes that had not succeeded
    :param relay_options: more options of `dbt-relay run`, by name: `{"flush_timeout": 60}`
    """

    template_fields: Collection[str] = (
        "command",
        "cwd",
        "env",
        "select",
        "exclude",
        "full_refresh",
        "vars",
    )
    template_fields_renderers = {"command": "bash", "env": "json", "vars": "json"}  # noqa: RUF012 - Airflow's form
    ui_color = "#ff694a"

    def __init__(
        self,
        *,
        command: str | Sequence[str],
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        append_env: bool = True,
        select: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        full_refresh: bool | str = False,
        vars: Mapping[str, Any] | None = None,  # noqa: A002 - dbt's word
        resume: bool = True,
        relay_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.cwd = cwd
        self.env = env
        self.append_env = append_env
        self.select = select
        self.exclude = exclude
        self.full_refresh = full_refresh
        self.vars = vars
        self.resume = resume
        self.relay_options = relay_options
        self._child: RelayProcess | None = None

    def execute(self, context: Any) -> Any:
        """Run dbt. Returns the summary. Raises DbtRelayError if dbt did not succeed."""
        own = context["ti"]
        child = self._child = RelayProcess(
            self._arguments(own.map_index),
            env=self._environment(context),
            cwd=self.cwd,
            push=own.xcom_push,
            task=lambda: ("running", own.try_number),
            log=self.log,
        )
        code = child.serve()
        if code < 0 and child.run_number is not None:
            self._deliver(context, child.run_number)
        if code == _SKIP:
            raise AirflowSkipException(f"the command ended with {_SKIP}")
        if code != 0:
            raise DbtRelayError(_ending(code, child.result))
        return child.result

    def on_kill(self) -> None:
        """Tell dbt to cancel. `execute` then pushes the records of the interrupted nodes."""
        if self._child is not None:
            self._child.stop()

    def _deliver(self, context: Any, run_number: int) -> None:
        """Push the records that a killed relay has left in its journal."""
        child = RelayProcess(
            ["deliver", str(run_number)],
            env=self._environment(context),
            cwd=self.cwd,
            push=context["ti"].xcom_push,
            task=lambda: (None, None),
            log=self.log,
        )
        child.serve()

    def _arguments(self, map_index: int) -> list[str]:
        options = {"grace": _GRACE, "map_index": map_index, **(self.relay_options or {})}
        words = ["run", "--resume" if self.resume else "--no-resume"]
        for name, value in options.items():
            words += _option(name, value)
        return [*words, "--", *self._words()]

    def _words(self) -> list[str]:
        """The words of the command, with dbt's flags from the other parameters."""
        flags = [
            *_listed("--select", self.select),
            *_listed("--exclude", self.exclude),
            *(["--full-refresh"] if _is_true(self.full_refresh) else []),
            *(["--vars", json.dumps(self.vars)] if self.vars else []),
        ]
        if not isinstance(self.command, str):
            return [*self.command, *flags]
        if _SHELL.isdisjoint(self.command):
            return [*shlex.split(self.command), *flags]
        if flags:
            raise ValueError(
                f"a shell runs {self.command!r}, so the operator cannot add select, exclude, "
                "full_refresh and vars: write them in the command, or make it a list of words"
            )
        return ["bash", "-c", self.command]

    def _environment(self, context: Any) -> dict[str, str]:
        own = context_to_airflow_vars(context, in_env_var_format=True)
        inherited = os.environ if self.append_env or self.env is None else {}
        return {**inherited, **own, **(self.env or {}), "DBT_RELAY_LOG_LEVELS": "1"}


def _listed(option: str, value: str | Sequence[str] | None) -> list[str]:
    words = shlex.split(value) if isinstance(value, str) else [*(value or ())]
    return [option, *words] if words else []


def _option(name: str, value: Any) -> list[str]:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    return [f"--{option}={value}"]


def _is_true(value: bool | str) -> bool:
    """Whether a value, perhaps the text of a template, means true."""
    return value is True or str(value).strip().lower() in ("true", "1", "yes", "on")


def _ending(code: int, result: Any) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    failed = result.get("failed") if isinstance(result, dict) else None
    if not failed:
        return f"dbt {how}: see its output above"
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"dbt {how}: {', '.join(failed[:5])}{more}"
