"""One run, from dbt's first byte to the exit code."""
