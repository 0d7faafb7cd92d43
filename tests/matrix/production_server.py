"""An Airflow as in production: on PostgreSQL, with FAB and the role of the guide, or with Celery."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

from real_airflow.projects import ROOT
from real_airflow.server import START_WITHIN, Server

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from matrix.servers import Postgres

GUIDE = ROOT / "docs/how-to/set-up-airflow.md"
FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
_CREATE_USER = (
    'airflow users create --username {0} --password "$PASSWORD" --role {1} '
    "--firstname {0} --lastname {0} --email {0}@example.com"
)


class Production(Server):
    """A Server with the users `dbt-relay`, as the guide makes it, `op` and `admin`.

    LocalExecutor runs the tasks, or a worker of Celery that listens to the redis at `broker`.
    """

    relay_user = "dbt-relay"

    def __init__(
        self,
        executable: Path,
        home: Path,
        environ: Mapping[str, str],
        postgres: Postgres,
        broker: str | None = None,
    ) -> None:
        super().__init__(executable, home, environ)
        self.passwords[self.relay_user] = self.passwords["user"]
        self.postgres = postgres
        database = f"postgresql+psycopg2://{postgres.place}"
        self.environ |= {
            "AIRFLOW__CORE__AUTH_MANAGER": FAB,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        }
        if broker is not None:
            self.environ |= {
                "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
                "AIRFLOW__CELERY__BROKER_URL": broker,
                "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
                "AIRFLOW__CELERY__WORKER_CONCURRENCY": "4",
            }
            self.commands["worker"] = ["celery", "worker", "--skip-serve-logs"]

    def _migrate(self) -> None:
        super()._migrate()
        for command, user in (
            (_guide_to_fab(), self.relay_user),
            (_CREATE_USER.format("admin", "Admin"), "admin"),
            (_CREATE_USER.format("op", "Op"), "op"),
        ):
            self._run(command, PASSWORD=self.passwords[user])

    def _run(self, command: str, **environ: str) -> None:
        """Run a script in which `airflow` is this Airflow. AssertionError where it fails."""
        path = f"{self.executable.parent}{os.pathsep}{self.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-ec", command],
            env={**self.environ, **environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_WITHIN,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"


def _guide_to_fab() -> str:
    """The commands of the guide that make the role and the user for the relay."""
    blocks = re.findall(r"```bash\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    [commands] = [block for block in blocks if "airflow users create" in block]
    return commands
