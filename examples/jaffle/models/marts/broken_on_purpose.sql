{{ config(tags=['on_purpose']) }}

-- `amount_in_euros` is not a column of orders.
select order_id, amount_in_euros
from {{ ref('orders') }}
