select count(*) as orders from {{ ref('big_orders') }}
