"""An Airflow connection in place of the variables with the address and the credentials.

`DBT_RELAY_AIRFLOW_CONN_ID` names the connection, and the variable `AIRFLOW_CONN_…` holds it, as a
URI or as JSON, in the forms of Airflow's own environment backend. No Airflow is needed to read it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from ..records.values import is_object
from .settings import ConfigurationError, login_of

if TYPE_CHECKING:
    from collections.abc import MutableMapping

NAME: Final = "DBT_RELAY_AIRFLOW_CONN_ID"
HOLDER: Final = "AIRFLOW_CONN_"
_CREDENTIALS: Final = ("token", "token_file", "username", "password")
_SCHEMES: Final = (None, "http", "https")
_PROTOCOL: Final = re.compile(r"[\w-]*://(?:(\w+)://)?")
_HOST: Final = re.compile(r"\[[^]]*\]|[^:]*")
_AUTHORITY: Final = re.compile(r"^\w+://[^/]*")


@dataclass(frozen=True, slots=True)
class AirflowConnection:
    """A connection of Airflow. `extra` has texts by name."""

    conn_id: str
    host: str | None = None
    schema: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = field(default=None, repr=False)
    extra: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def read(cls, conn_id: str, value: str) -> AirflowConnection:
        """From a URI or JSON. Raises ConfigurationError, which does not quote the value."""
        try:
            fields = _of_json(value) if value.lstrip().startswith("{") else _of_uri(value)
            connection = cls(conn_id, **fields)
        except (ValueError, TypeError, AttributeError):
            raise ConfigurationError(
                f"the Airflow connection {conn_id!r} in {holder(conn_id)} cannot be read: it must "
                "be a URI or a JSON object, as `airflow connections export` writes them"
            ) from None
        if connection.schema not in _SCHEMES:
            raise ConfigurationError(
                # A password that is not quoted may have become part of it.
                f"the Airflow connection {conn_id!r} has a schema that is not http or https. In a "
                "URI, quote the login and the password"
            )
        return connection

    @property
    def url(self) -> str | None:
        """Airflow's address. The host is a name, or a whole address."""
        if not self.host:
            return None
        address = self.host if "://" in self.host else f"{self.schema or 'http'}://{self.host}"
        port = f":{self.port}" if self.port else ""
        return _AUTHORITY.sub(lambda found: found[0] + port, address)

    @property
    def variables(self) -> dict[str, str]:
        """The relay's variables for this connection. A password without a login is a token."""
        extra = self.extra
        given = {
            "DBT_RELAY_AIRFLOW_URL": self.url,
            "DBT_RELAY_AIRFLOW_TOKEN": extra.get("token")
            or (None if self.login else self.password),
            "DBT_RELAY_AIRFLOW_TOKEN_FILE": extra.get("token_file"),
            "DBT_RELAY_AIRFLOW_USERNAME": self.login,
            "DBT_RELAY_AIRFLOW_PASSWORD": self.password if self.login else None,
            "DBT_RELAY_CA_FILE": extra.get("ca_file"),
            "DBT_RELAY_PROXY": extra.get("proxy"),
        }
        return {name: value for name, value in given.items() if value}


def holder(conn_id: str) -> str:
    """The variable that holds the connection."""
    return f"{HOLDER}{conn_id.upper()}"


def use_connection(environ: MutableMapping[str, str]) -> None:
    """Replace the named connection with the relay's variables, where those are not set.

    Neither the name nor the connection is left in the environment, so that dbt does not get them.
    Raises ConfigurationError if the connection is not there or not enough.
    """
    conn_id = environ.pop(NAME, "")
    if not conn_id:
        return
    value = environ.pop(holder(conn_id), "")
    if not value:
        raise ConfigurationError(
            f"{NAME} names the Airflow connection {conn_id!r}, but there is no variable "
            f"{holder(conn_id)}: set it, or see use_connection in dbt_relay.provider for a "
            "connection that Airflow keeps"
        )
    variables = AirflowConnection.read(conn_id, value).variables
    if login_of(environ).is_given:
        for name in _CREDENTIALS:
            variables.pop(f"DBT_RELAY_AIRFLOW_{name.upper()}", None)
    for name, text in variables.items():
        environ[name] = environ.get(name) or text
    missing = [] if environ.get("DBT_RELAY_AIRFLOW_URL") else ["a host"]
    if not login_of(environ).is_given:
        missing.append("a login with a password, or a token")
    if missing:
        raise ConfigurationError(
            f"the Airflow connection {conn_id!r} lacks {' and '.join(missing)}"
        )


def _of_json(value: str) -> dict[str, Any]:
    raw: Any = json.loads(value)
    extra: Any = raw.get("extra") or {}
    port = raw.get("port")
    texts = {name: _text(raw.get(name)) for name in ("host", "schema", "login", "password")}
    return {
        **texts,
        "port": int(port) if port else None,
        "extra": _texts(json.loads(extra) if isinstance(extra, str) else extra),
    }


def _of_uri(value: str) -> dict[str, Any]:
    """`dbt-relay://login:password@host:port/schema?token=…`, with every part quoted.

    Airflow writes a whole address in the host as `dbt-relay://https://…@host`.
    """
    found = _PROTOCOL.match(value)
    if found is None:
        raise ValueError
    parts = urlsplit(f"//{value[found.end() :]}")
    login, _, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    host = unquote(_HOST.findall(place)[0])
    query = dict(parse_qsl(parts.query))
    extra = json.loads(query["__extra__"]) if "__extra__" in query else query
    texts = {
        "host": f"{found[1]}://{host}" if found[1] else host,
        "schema": unquote(parts.path.strip("/")) or None,
        "login": unquote(user),
        "password": unquote(password),
    }
    return {**texts, "port": parts.port, "extra": _texts(extra)}


def _texts(extra: Any) -> dict[str, str]:
    if not is_object(extra):
        raise ValueError
    return {name: text for name, value in extra.items() if (text := _text(value))}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
