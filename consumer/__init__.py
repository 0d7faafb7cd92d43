"""What Airflow's tasks and DAGs make of dbt: `waiting` for its nodes, and the `graph` of its nodes.

The two do not import each other. Neither reads a clock or the environment; `graph` reads a manifest
and the project's file.
"""
