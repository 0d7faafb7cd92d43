select id / 0 as share from {{ ref('items') }}
