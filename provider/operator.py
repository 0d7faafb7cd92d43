"""An operator that runs dbt and pushes each node's record as soon as dbt reports its result."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSkipException,
    BaseOperator,
)

from .dbt_call import (
    GRACE,
    SKIP,
    Call,
    describe_exit,
    environment_of,
    needs_shell,
    relay_call,
    words_of,
)
from .errors import DbtRelayError
from .relay import Relay

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


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
    :param indirect_selection: dbt's `--indirect-selection`
    :param full_refresh: dbt's `--full-refresh` (templated)
    :param vars: dbt's `--vars` (templated)
    :param resume: on a later try, run only the nodes that had not succeeded (templated)
    :param note: write how the run went as the task's note, which needs the address of Airflow's
        REST API and credentials (templated)
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
        "resume",
        "note",
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
        indirect_selection: str | None = None,
        full_refresh: bool | str = False,
        vars: Mapping[str, Any] | None = None,  # noqa: A002 - dbt's word
        resume: bool | str = True,
        note: bool | str = False,
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
        self.indirect_selection = indirect_selection
        self.full_refresh = full_refresh
        self.vars = vars
        self.resume = resume
        self.note = note
        self.relay_options = relay_options
        self._relay: Relay | None = None

    def execute(self, context: Any) -> Any:
        """Run dbt. Returns the summary. Raises DbtRelayError if dbt did not succeed."""
        own = context["ti"]
        relay = self._relay = Relay(
            env=environment_of(context, self.env, append_env=self.append_env),
            cwd=self.cwd,
            push=own.xcom_push,
            task=lambda: ("running", own.try_number),
            log=self.log,
        )
        code = relay.run(relay_call(*self._arguments(own.map_index)))
        if code == SKIP:
            raise AirflowSkipException(f"the command ended with {SKIP}")
        if code != 0:
            reason = _ending(code, relay.result)
            self.log.error("%s", reason)
            raise DbtRelayError(reason)
        return relay.result

    def on_kill(self) -> None:
        """Tell dbt to cancel. `execute` then pushes the records of the interrupted nodes."""
        if self._relay is not None:
            self._relay.stop()

    @property
    def can_select(self) -> bool:
        """Whether the operator can run its command for some nodes alone."""
        return not needs_shell(self.command)

    def call_for(self, nodes: str, context: Any) -> Call:
        """The call that runs the command for these nodes alone, in the task of `context`.

        `nodes` are terms of dbt's `--select`.
        """
        ready: DbtRelayOperator = self.prepare_for_execution()
        ready.render_template_fields(context)
        words = ["run", "--only", nodes, "--grace", GRACE, "--", *ready._words()]
        env = environment_of(context, ready.env, append_env=ready.append_env)
        return Call(relay_call(*words), env, ready.cwd)

    def _arguments(self, map_index: int) -> list[str]:
        options = {
            "grace": GRACE,
            "map_index": map_index,
            "note": _is_true(self.note),
            **(self.relay_options or {}),
        }
        words = ["run", "--resume" if _is_true(self.resume) else "--no-resume"]
        for name, value in options.items():
            words += _option(name, value)
        return [*words, "--", *self._words()]

    def _words(self) -> list[str]:
        """The words of the command, with dbt's flags from the other parameters."""
        flags = [
            *_listed("--select", self.select),
            *_listed("--exclude", self.exclude),
            *_listed("--indirect-selection", self.indirect_selection),
            *(["--full-refresh"] if _is_true(self.full_refresh) else []),
            *(["--vars", json.dumps(self.vars)] if self.vars else []),
        ]
        if flags and needs_shell(self.command):
            raise ValueError(
                f"a shell runs {self.command!r}, so the operator cannot add {' '.join(flags)}: "
                "write that in the command, or give the command as a list of words"
            )
        return [*words_of(self.command), *flags]


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
    how = describe_exit(code)
    failed = result.get("failed") if isinstance(result, dict) else None
    if not failed:
        return f"dbt {how}: see its output above"
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"dbt {how}: {', '.join(failed[:5])}{more}"
