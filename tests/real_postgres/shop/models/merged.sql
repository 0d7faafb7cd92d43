{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge') }}
{{ grow() }}
