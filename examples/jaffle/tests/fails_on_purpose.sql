{{ config(tags=['on_purpose']) }}

-- Fails on purpose, to show what a failing test looks like: some customers did order only once.
select customer_id, number_of_orders
from {{ ref('customers') }}
where number_of_orders < 2
