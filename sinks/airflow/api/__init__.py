"""How one speaks to Airflow's stable REST API."""
