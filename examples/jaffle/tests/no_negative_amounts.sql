-- A test passes when its query returns no rows.
select order_id, amount
from {{ ref('orders') }}
where amount < 0
