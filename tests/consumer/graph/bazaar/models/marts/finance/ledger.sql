select * from {{ ref('purchases', v=1) }} union all select * from {{ ref('purchases', v=2) }}
