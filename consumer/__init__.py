"""What an Airflow task group knows of a dbt project and makes of its records."""
