{{ config(
    materialized='incremental', incremental_strategy='microbatch', unique_key='id',
    event_time='made_at', batch_size='day', begin='2026-01-01',
) }}
select id, made_at, 6 / (3 - id) as share from {{ ref('timed') }}
