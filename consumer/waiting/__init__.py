"""What becomes of a task that waits for a dbt node. Pure: no clock, no environment, no I/O."""
