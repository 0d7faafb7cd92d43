{{ config(
    materialized='incremental', incremental_strategy='microbatch', event_time='ordered_at',
    batch_size='day', lookback=0, begin='2024-01-01', concurrent_batches=false,
    unique_key='id' if target.type == 'postgres' else none,
) }}
{% set fails = model.batch and model.batch.id == '20240102' %}
select id, {{ 'no_such_column' if fails else 'ordered_at' }} as ordered_at
from {{ ref('stg_orders') }}
