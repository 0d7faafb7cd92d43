"""dbt's graph: the nodes of a manifest, the nodes of a selection, and a plan of Airflow tasks."""
