"""dbt-relay: run dbt once; every node's result is in Airflow the moment it is known."""

__version__ = "0.1.0"
