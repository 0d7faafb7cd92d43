"""An Airflow connection with the address of the REST API and credentials, for `dbt-relay run`.

The operators of this package push records without it. A `BashOperator` and `note=True` need it.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any, Final

from .dbt_call import relay_call
from .sdk import BaseHook

if TYPE_CHECKING:
    from collections.abc import Callable

_FIELDS: Final = ("conn_type", "host", "schema", "port", "login", "password", "extra")
_WITHIN: Final = 60.0
"""Seconds for a test of the connection."""


class DbtRelayHook(BaseHook):
    """Hands a connection of the type `dbt_relay` to `dbt-relay`, which reads it by itself."""

    conn_name_attr = "dbt_relay_conn_id"
    default_conn_name = "dbt_relay_default"
    conn_type = "dbt_relay"
    hook_name = "dbt-relay"

    def __init__(self, dbt_relay_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.dbt_relay_conn_id = dbt_relay_conn_id

    def get_conn(self) -> dict[str, str]:
        """The variables that hand the connection to a `dbt-relay` command. They hold secrets."""
        connection = self.get_connection(self.dbt_relay_conn_id)
        value = {name: getattr(connection, name) for name in _FIELDS}
        return {
            "DBT_RELAY_AIRFLOW_CONN_ID": self.dbt_relay_conn_id,
            f"AIRFLOW_CONN_{self.dbt_relay_conn_id.upper()}": json.dumps(value),
        }

    def test_connection(self) -> tuple[bool, str]:
        """Whether Airflow answers, takes the credentials and allows to write XComs; and the words.

        A process of its own asks, so that Airflow's process does not keep what that imports.
        """
        own = {n: v for n, v in os.environ.items() if not n.startswith("DBT_RELAY_")}
        try:
            done = subprocess.run(
                relay_call("doctor", "--airflow-only"),
                env={**own, **self.get_conn()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_WITHIN,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False, f"dbt-relay doctor has not ended within {_WITHIN:.0f} s"
        is_good = done.returncode == 0
        return is_good, _words(done.stdout, "ok" if is_good else "FAIL") or done.stdout


def use_connection(conn_id: str) -> Callable[[Any], None]:
    """For `pre_execute` of an operator that starts `dbt-relay run` on the worker: gives the command
    this connection.

    The variables get into the environment of the task's own process, which the command inherits.
    So the secrets are in no templated field. Give `append_env=True` to a BashOperator with `env`.
    """

    def use(_: Any) -> None:
        os.environ.update(DbtRelayHook(conn_id).get_conn())

    return use


def _words(said: str, state: str) -> str:
    """The checks of this state in what `dbt-relay doctor` said, with what to do about each."""
    found: list[str] = []
    is_wanted = False
    for line in said.splitlines():
        if line[:4].strip():
            is_wanted = line.startswith(state)
        if is_wanted:
            found.append(line[4:].strip())
    return "; ".join(found)
