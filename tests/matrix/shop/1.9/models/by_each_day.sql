{{ config(
    materialized='incremental', incremental_strategy='microbatch', event_time='ordered_at',
    batch_size='day', lookback=0, begin='2024-01-01', concurrent_batches=false,
    unique_key='id' if target.type == 'postgres' else none,
) }}
select id, ordered_at
from {{ ref('stg_orders') }}
