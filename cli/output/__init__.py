"""What a person reads: dbt's text, the relay's messages, the report at the end."""
