{{ config(materialized='table', event_time='made_at') }}
select id, made_at::timestamp as made_at from {{ ref('items') }}
