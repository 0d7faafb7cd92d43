{{ config(tags=['on_purpose']) }}

select count(*) as number_of_orders
from {{ ref('broken_on_purpose') }}
