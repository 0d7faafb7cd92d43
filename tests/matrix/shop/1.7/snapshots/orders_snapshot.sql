{% snapshot orders_snapshot %}
{{ config(
    target_schema=target.schema ~ '_snapshots', unique_key='id', strategy='check',
    check_cols=['amount'],
) }}
select id, amount from {{ ref('stg_orders') }}
{% endsnapshot %}
