select 1 from {{ ref('finance') }} join {{ ref('rates') }} on true where false
