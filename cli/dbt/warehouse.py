"""The namespace of a warehouse's tables in OpenLineage, from dbt's profile.

The rules are OpenLineage's own integration for dbt (openlineage-integration-common 1.54), so that
its events and the relay's name the same tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...records.values import text
from .profile import UnknownProfileError

if TYPE_CHECKING:
    from ...records.values import JsonObject

_BY_HOST: Final = {
    "postgres": ("postgres", "host", None),
    "redshift": ("redshift", "host", "5439"),
    "clickhouse": ("clickhouse", "host", None),
    "trino": ("trino", "host", None),
    "presto": ("presto", "host", None),
    "watsonx_presto": ("presto", "host", None),
    "sqlserver": ("mssql", "server", "1433"),
    "dremio": ("dremio", "software_host", None),
}
"""For an adapter its scheme, the key of its host, and its port where dbt has one by default."""
_SPARK_PORTS: Final = {"http": "443", "odbc": "443", "thrift": "10001"}


def dataset_namespace(profile: JsonObject) -> str:
    """The namespace of the tables that a profile reaches. Raises UnknownProfileError."""
    adapter = text(profile.get("type"))
    if adapter in _BY_HOST:
        scheme, key, usual = _BY_HOST[adapter]
        return f"{scheme}://{_value(profile, key)}:{_value(profile, 'port', usual)}"
    match adapter:
        case "snowflake":
            return f"snowflake://{_snowflake_account(_value(profile, 'account'))}"
        case "bigquery":
            return "bigquery"
        case "databricks":
            return f"databricks://{_value(profile, 'host')}"
        case "duckdb":
            # The path of MotherDuck may end in a query with a token.
            return f"duckdb://{_value(profile, 'path', ':memory:').partition('?')[0]}"
        case "athena":
            return f"awsathena://athena.{_value(profile, 'region_name')}.amazonaws.com"
        case "glue":
            return f"arn:aws:glue:{_value(profile, 'region')}:{_glue_account(profile)}"
        case "fabric":
            port = f":{profile['port']}" if "port" in profile else ""
            return f"fabric-warehouse://{_value(profile, 'server')}{port}"
        case "spark":
            return f"spark://{_value(profile, 'host')}:{_spark_port(profile)}"
        case _:
            raise UnknownProfileError(f"OpenLineage has no names for tables of {adapter}")


def _value(profile: JsonObject, key: str, usual: str | None = None) -> str:
    value = profile.get(key, usual)
    if not isinstance(value, (str, int)) or isinstance(value, bool) or value == "":
        raise UnknownProfileError(f"the profile does not say its {key} without dbt")
    return str(value)


def _snowflake_account(name: str) -> str:
    """An account with its region and cloud; one that has its organization needs neither."""
    parts = name.split(".")
    if "-" in parts[0]:
        return parts[0]
    return ".".join([*parts, *("us-west-1", "aws")[len(parts) - 1 :]])


def _glue_account(profile: JsonObject) -> str:
    if "account_id" in profile:
        return _value(profile, "account_id")
    parts = _value(profile, "role_arn").split(":")
    if len(parts) < 5:
        raise UnknownProfileError("the profile's role_arn names no account")
    return parts[4]


def _spark_port(profile: JsonObject) -> str:
    method = _value(profile, "method")
    if method not in _SPARK_PORTS:
        raise UnknownProfileError(f"Spark's method {method} has no names for tables")
    return _value(profile, "port", _SPARK_PORTS[method])
