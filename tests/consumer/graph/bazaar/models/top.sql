select 1 as a, 2 as b from {{ ref('finance') }}
