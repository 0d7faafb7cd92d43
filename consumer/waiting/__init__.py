"""Tasks that wait for dbt nodes: what to read, and what to decide. Pure: no clock, no I/O."""
