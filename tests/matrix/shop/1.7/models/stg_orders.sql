{{ config(
    materialized='view',
    pre_hook="insert into {{ target.schema }}.audit values ('before')",
    post_hook="insert into {{ target.schema }}.audit values ('after')",
) }}
select id, cast(ordered_at as timestamp) as ordered_at, amount from {{ ref('raw_orders') }}
