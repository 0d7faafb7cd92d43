"""dbt's graph: which nodes a selection names, and which tasks they become. Reads files only."""
