{% snapshot ledger_history %}
{{ config(target_schema='snapshots', unique_key='order_id', strategy='check', check_cols=['order_id']) }}
select * from {{ ref('ledger') }}
{% endsnapshot %}
