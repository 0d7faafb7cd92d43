"""Random histories of a task that builds a dbt project, each attempt with `--resume`."""
