"""dbt's command line and the files that dbt writes."""
