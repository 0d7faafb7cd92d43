"""`dbt-relay doctor`: can this machine deliver?"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from .. import __version__
from ..parser import Event, EventReader, Run
from ..records.display import in_one_line
from ..sinks.airflow.checks import Check, check_airflow
from ..sinks.journal import folder, storage
from . import exit_codes
from .dbt.arguments import position_of_dbt
from .dbt.command import prepare
from .dbt.variables import for_children
from .options import CREDENTIALS, option, relay_options
from .relay.state_folder import state_dir
from .settings import AIRFLOW_SINKS, STANDARD_SINKS, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .settings import RelaySettings

HELP: Final = """Check that this machine can deliver: dbt, Airflow, credentials, permission, disk.

Takes the options of `run` about Airflow, records and the journal. Looks for the dbt that COMMAND
would start. Ends with 0, or with 78 if something would fail. Writes no XCom. Without --dag-id,
--run-id and --task-id it does not check the task.

\b
Examples:
  dbt-relay doctor
  dbt-relay doctor --dag-id shop --run-id manual__1 --task-id dbt -- uv run dbt
"""
DBT_TIMEOUT: Final = 60.0
_OWN_TIMEOUT: Final = 20.0
_OLDEST, _NEWEST = (1, 7), (1, 12)
_LITTLE_SPACE: Final = 100 * 1024 * 1024
_SET_STATE: Final = "set DBT_RELAY_STATE_DIR to a folder that can be written to"


@click.command(
    context_settings={"allow_interspersed_args": False},
    help=HELP,
    epilog=CREDENTIALS,
)
@relay_options
@option(
    "--airflow-only/--no-airflow-only",
    default=False,
    help="Check only Airflow, the credentials and the permission.",
)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def doctor(command: tuple[str, ...], settings: RelaySettings, airflow_only: bool) -> int:
    code = 0
    whole = (command or ("dbt",), settings, os.environ)
    for check in _airflow(settings, os.environ) if airflow_only else _checks(*whole):
        click.echo(in_one_line(f"{check.state:<4}  {check.what}"))
        if check.remedy:
            click.echo(in_one_line(f"      {check.remedy}"))
        if check.state == "FAIL":
            code = exit_codes.CONFIGURATION
    return code


def _checks(
    command: Sequence[str], settings: RelaySettings, environ: Mapping[str, str]
) -> Iterator[Check]:
    # Together, as dbt and Airflow's client take a second or two each to start.
    with ThreadPoolExecutor() as threads:
        dbt_check = threads.submit(_dbt, command, environ)
        own_check = threads.submit(_on_path, environ)
        airflow_checks = threads.submit(lambda: list(_airflow(settings, environ)))
        yield dbt_check.result()
        yield own_check.result()
        yield from airflow_checks.result()
    yield from _standard(settings, environ)
    path = state_dir(settings.keeping, environ)
    if path is None:
        yield Check("FAIL", "this user has no home folder to keep records in", _SET_STATE)
    else:
        yield _state_folder(path)


def _airflow(settings: RelaySettings, environ: Mapping[str, str]) -> Iterator[Check]:
    try:
        missing = settings.airflow.missing(environ)
        to = settings.airflow.settings(environ) if settings.airflow.connection.url else None
        if "cosmos" in (*settings.sinks, settings.default_sink):
            settings.airflow.xcoms.check_for_cosmos()
    except ConfigurationError as error:
        yield Check("FAIL", "the settings for Airflow cannot work", error.message)
        return
    is_wanted = settings.names_task(environ) or bool(AIRFLOW_SINKS.intersection(settings.sinks))
    if missing:
        remedy = f"set {' and '.join(missing)}"
        if is_wanted:
            yield Check("FAIL", "Airflow: a setting that delivery needs is missing", remedy)
        elif to is None:
            yield Check("ok", "Airflow: not configured, so results stay on this machine")
        else:
            yield Check("warn", "Airflow: a task needs more settings than this machine has", remedy)
    else:
        yield Check("ok", "Airflow: all settings that delivery needs are set")
    if to is not None:
        yield from check_airflow(to)


def _standard(settings: RelaySettings, environ: Mapping[str, str]) -> Iterator[Check]:
    """The packages and settings of the sinks openlineage and otlp; nothing is sent."""
    for kind in sorted(STANDARD_SINKS.intersection(settings.sinks)):
        from .relay.standard_sinks import chosen_sink  # noqa: PLC0415 - few ask for one

        try:
            sink = chosen_sink(kind, environ, settings.place)
        except ConfigurationError as error:
            yield Check("FAIL", f"the sink {kind} cannot work", error.message)
            continue
        if isinstance(sink, str):
            yield Check("warn", f"the sink {kind} sends nothing", sink)
        else:
            yield Check("ok", f"the sink {kind} has its packages and an address")


def _dbt(command: Sequence[str], environ: Mapping[str, str]) -> Check:
    at = position_of_dbt(command)
    if at is None:
        if shutil.which(command[0], path=environ.get("PATH")) is None:
            return _not_found(command[0])
        what = f"{command[0]} is found, but not checked: dbt-relay cannot tell which dbt it starts"
        return Check("warn", what, "to check that dbt, name it: dbt-relay doctor -- dbt")
    words = [*command[: at + 1]]
    found = shutil.which(words[0], path=environ.get("PATH"))
    if found is None:
        return _not_found(words[0])
    name = found if at == 0 else shlex.join(words)
    give_up_at = time.monotonic() + DBT_TIMEOUT
    with tempfile.TemporaryDirectory(prefix="dbt-relay-") as logs:
        quiet = {"LOG_PATH": logs, "SEND_ANONYMOUS_USAGE_STATS": "0"}
        env = {
            **for_children(environ),
            **{p + k: v for p in ("DBT_ENGINE_", "DBT_") for k, v in quiet.items()},
        }
        # The one command of dbt that needs no project and no database, and yet logs.
        asked = [*words, "debug", "--config-dir"]
        prepared = prepare(asked, env, is_terminal=False, cwd=Path.cwd())
        version = _logged_version(_output(prepared.argv, prepared.env, give_up_at))
        is_proven = version is not None
        if version is None:
            version = _printed_version(_output([*words, "--version"], env, give_up_at))
    return _judged(name, shlex.join(words), version, is_proven)


def _on_path(environ: Mapping[str, str]) -> Check:
    """Whether a task that says `dbt-relay` gets this one."""
    found = shutil.which("dbt-relay", path=environ.get("PATH"))
    here = Path(sys.argv[0])
    if found is None:
        its = f": {here.absolute()}" if here.name == "dbt-relay" else ""
        remedy = f"a task has to call it by its full path{its}"
        return Check("warn", "dbt-relay is not on the PATH", remedy)
    ours = f"dbt-relay {__version__}"
    if Path(found).resolve() == here.resolve():
        return Check("ok", f"{ours} is on the PATH: {found}")
    told = _output([found, "--version"], environ, time.monotonic() + _OWN_TIMEOUT)
    version = " ".join(told.decode("utf-8", "replace").split()[:2])
    if version == ours:
        return Check("ok", f"{ours} is on the PATH: {found}")
    what = (
        f"the dbt-relay on the PATH, {found}, is a different one ({version or 'version unknown'})"
    )
    return Check("warn", what, f"a task that calls `dbt-relay` starts that one; this one is {ours}")


def _not_found(program: str) -> Check:
    remedy = "install it in this environment, put it on the PATH, or name it: doctor -- COMMAND"
    return Check("FAIL", f"dbt: {program} is not found", remedy)


def _judged(name: str, command: str, version: str | None, is_proven: bool) -> Check:
    number = re.match(r"(\d+)\.(\d+)", version or "")
    if version is None or number is None:
        what = f"dbt: {name} did not report its version"
        return Check("FAIL", what, f"run `{command} --version` by hand to see why")
    what = f"dbt {version} at {name}"
    release = int(number[1]), int(number[2])
    if release < _OLDEST:
        return Check("FAIL", f"{what} is older than 1.7", "use dbt 1.7 or newer")
    if is_proven:
        if release > _NEWEST and release[0] == _NEWEST[0]:
            what += (
                ": its JSON log can be read, but dbt-relay was not tested with this newer version"
            )
            return Check("warn", what, "look for a newer dbt-relay")
        return Check("ok", f"{what}: its JSON log can be read")
    if release[0] >= 2:  # it has no command that logs without a project
        return Check("ok", f"{what}: its JSON log can be read")
    what += ": no event of its JSON log came through"
    return Check("FAIL", what, f"`{command}` may hide dbt's output or set a --log-format")


def _logged_version(output: bytes) -> str | None:
    """dbt's version, if the output is a log of dbt that the relay can read."""
    run = Run()
    for part in EventReader().feed(output + b"\n"):
        if isinstance(part, Event):
            run.feed(part)
    return next((i.version.lstrip("=") for i in run.invocations if i.version), None)


def _printed_version(output: bytes) -> str | None:
    """dbt 1: `installed: 1.11.16`; dbt 2: `dbt-fusion 2.0.0-beta.1`."""
    text = output.decode("utf-8", "replace")
    found = re.search(r"(?:installed:|dbt(?:-fusion)?)\s+v?(\d+\.\d+[\w.+-]*)", text)
    return found[1] if found else None


def _output(argv: Sequence[str], env: Mapping[str, str], give_up_at: float) -> bytes:
    """The command's stdout, as far as it came in time. It is not shown: it may hold secrets."""
    try:
        process = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        return b""
    try:
        return process.communicate(timeout=max(0.0, give_up_at - time.monotonic()))[0]
    except subprocess.TimeoutExpired:
        # With its children, which hold the pipe open.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=1)
        return b""


def _state_folder(path: Path) -> Check:
    """Whether records can be kept there."""
    try:
        shared = folder.prepare(path)
        folder.refuse_foreign_content(path / folder.FILE)
        storage.refuse_newer(path / folder.FILE)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"dbt-relay")
            file.flush()
        free = shutil.disk_usage(path).free
    except folder.ForeignError as error:
        what = f"the journal in {path} cannot be used ({error})"
        return Check("FAIL", what, "move that away, or set DBT_RELAY_STATE_DIR to another folder")
    except storage.NewerError as error:
        what = f"the journal in {path} cannot be used ({error})"
        return Check("FAIL", what, "upgrade dbt-relay, or set another DBT_RELAY_STATE_DIR")
    except OSError as error:
        what = f"{path} cannot be written to ({error.strerror})"
        return Check("FAIL", what, _SET_STATE)
    what = f"{path} can be written to, with {free / 1024**2:,.0f} MB free"
    if shared is not None:
        return Check("warn", what, shared)
    if free < _LITTLE_SPACE:
        return Check("warn", what, "waiting records are kept there: free some space")
    return Check("ok", what)
