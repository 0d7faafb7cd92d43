{{ config(materialized='incremental') }}
{{ grow() }}
