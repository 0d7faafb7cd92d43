"""An operator that runs dbt and pushes each node's record as soon as dbt reports its result."""

from __future__ import annotations

import json
import os
import re
import shlex
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow.sdk import BaseOperator

from .assets import add_events, alias_of
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
from .record_store import RecordStore
from .relay import Relay
from .sdk import AirflowSkipException

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

_NOT_STARTED: Final = (126, 127)
"""Exit codes of a command that cannot be started, as a shell has them."""
_SELECTOR: Final = re.compile(r"selector:([^,]*[^,+])")


class DbtRelayOperator(BaseOperator):
    """Runs `command` with `dbt-relay run`. Needs no address and no credentials of Airflow.

    Each node's record is an XCom of this task under the node's unique_id. The task's return value
    is a summary: nodes by outcome, the failed nodes, and the figures of delivery.

    :param command: the command that runs dbt, such as `dbt build --select tag:daily`: a list of
        words, or a text. bash runs a text with characters that only a shell knows (templated)
    :param cwd: the folder of the command, usually dbt's project (templated)
    :param env: variables for the command (templated)
    :param append_env: whether the command also gets the worker's variables
    :param select: dbt's `--select`, or `selector:name` for its `--selector` (templated)
    :param exclude: dbt's `--exclude` (templated)
    :param indirect_selection: dbt's `--indirect-selection`
    :param full_refresh: dbt's `--full-refresh` (templated)
    :param vars: dbt's `--vars`, also as a text of JSON or YAML (templated)
    :param resume: on a later try, run only the nodes that had not succeeded (templated)
    :param note: write how the run went as the task's note, which needs the address of Airflow's
        REST API and credentials (templated)
    :param assets: add an asset event for each relation that was built and whose tests passed. The
        events belong to the alias `dbt`, or to the alias of this name. A task that fails has none
    :param manifest: dbt's manifest of this run, for `assets`: by default `target/manifest.json`
        below `cwd` (templated)
    :param relay_options: more options of `dbt-relay run`, by name: `{"flush_timeout": 60}`. A list
        gives its option several times
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
        "manifest",
    )
    template_fields_renderers = {"command": "bash", "env": "json", "vars": "json"}  # noqa: RUF012 - Airflow's form
    ui_color = "#ff694a"

    leave_out: Callable[[Any], list[str]] | None = None
    """Tells more terms of `--exclude` when the task runs, from its context."""
    _flags: ClassVar[Sequence[str]] = ()
    """Options of every `dbt-relay run` of this operator."""
    _good_codes: ClassVar[Sequence[int]] = (0,)

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
        vars: Mapping[str, Any] | str | None = None,  # noqa: A002 - dbt's word
        resume: bool | str = True,
        note: bool | str = False,
        assets: bool | str = False,
        manifest: str | None = None,
        relay_options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        alias = alias_of(assets)
        if alias is not None:
            kwargs["outlets"] = [*(kwargs.get("outlets") or ()), alias]
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
        self.manifest = manifest
        self.relay_options = relay_options
        self._alias = alias
        self._relay: Relay | None = None

    def execute(self, context: Any) -> Any:
        """Run dbt. Returns the summary. Raises DbtRelayError if dbt did not succeed."""
        if self.leave_out is not None:
            self.exclude = [*_split(self.exclude), *self.leave_out(context)]
        own = context["ti"]
        store = context.get("task_state_store") if _is_true(self.resume) else None
        relay = self._relay = Relay(
            env=environment_of(context, self.env, append_env=self.append_env),
            cwd=self.cwd,
            push=own.xcom_push,
            task=lambda: ("running", own.try_number),
            log=self.log,
            store=RecordStore(store, own.try_number, self.log) if store is not None else None,
        )
        usual = {
            "map_index": own.map_index,
            "note": _is_true(self.note),
            "resume": _is_true(self.resume),
        }
        code = relay.run(self._call(usual, {}))
        if code == SKIP:
            raise AirflowSkipException(f"the command ended with {SKIP}")
        if code not in self._good_codes:
            reason = _ending(code, relay.result)
            self.log.error("%s", reason)
            raise DbtRelayError(reason)
        if self._alias is not None:
            manifest = self.manifest or os.path.join(self.cwd or "", "target", "manifest.json")
            add_events(context, self._alias, relay.records, manifest)
        return relay.result

    def on_kill(self) -> None:
        """Tell dbt to cancel. `execute` then pushes the records of the interrupted nodes."""
        if self._relay is not None:
            self._relay.stop()

    @property
    def can_select(self) -> bool:
        """Whether the operator can run its command for some nodes alone."""
        return not needs_shell(self.command)

    @property
    def words(self) -> list[str]:
        """The words of the command, with dbt's flags from the other parameters."""
        flags = [
            *_selected(self.select),
            *_listed("--exclude", self.exclude),
            *_listed("--indirect-selection", self.indirect_selection),
            *(["--full-refresh"] if _is_true(self.full_refresh) else []),
            *_vars(self.vars),
        ]
        if flags and needs_shell(self.command):
            raise ValueError(
                f"a shell runs {self.command!r}, so the operator cannot add {' '.join(flags)}: "
                "write that in the command, or give the command as a list of words"
            )
        return [*words_of(self.command), *flags]

    def call_for(self, nodes: str, context: Any) -> Call:
        """The call that runs the command for these nodes alone, in the task of `context`.

        `nodes` are terms of dbt's `--select`.
        """
        ready: DbtRelayOperator = self.prepare_for_execution()
        ready.render_template_fields(context)
        env = environment_of(context, ready.env, append_env=ready.append_env)
        return Call(ready._call({}, {"only": nodes}), env, ready.cwd)

    def _call(self, usual: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
        """The words that run the command. `relay_options` win over the `usual` options, and `own`
        over both."""
        options = {"grace": GRACE, **usual, **(self.relay_options or {}), **own}
        words = [word for name, value in options.items() for word in _option(name, value)]
        return relay_call("run", *self._flags, *words, "--", *self.words)


def _selected(select: str | Sequence[str] | None) -> list[str]:
    """dbt's option for a selection. Only dbt 1.12 takes `selector:name` with `--select`."""
    words = _listed("--select", select)
    if len(words) == 2 and (selector := _SELECTOR.fullmatch(words[1])):
        return ["--selector", selector[1]]
    return words


def _listed(option: str, value: str | Sequence[str] | None) -> list[str]:
    words = _split(value)
    return [option, *words] if words else []


def _split(value: str | Sequence[str] | None) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else [*(value or ())]


def _vars(value: Mapping[str, Any] | str | None) -> list[str]:
    text = value if isinstance(value, str) else json.dumps(value or {})
    return ["--vars", text] if text.strip() not in ("", "{}") else []


def _option(name: str, value: Any) -> list[str]:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    values = value if isinstance(value, (list, tuple)) else [value]
    return [f"--{option}={one}" for one in values]


def _is_true(value: bool | str) -> bool:
    """Whether a value, perhaps the text of a template, means true."""
    return value is True or str(value).strip().lower() in ("true", "1", "yes", "on")


def _ending(code: int, result: Any) -> str:
    how = describe_exit(code)
    failed = result.get("failed") if isinstance(result, dict) else None
    if not failed:
        if code in _NOT_STARTED:
            return f"dbt did not start, its command {how}: see the output above"
        return f"dbt {how}: see its output above"
    more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
    return f"dbt {how}: {', '.join(failed[:5])}{more}"
