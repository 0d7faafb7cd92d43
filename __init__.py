"""dbt-relay: run dbt once; every node's result is in Airflow within seconds."""

__version__ = "0.1.0"
