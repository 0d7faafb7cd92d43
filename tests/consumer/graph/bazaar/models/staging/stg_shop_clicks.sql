select * from {{ source('shop', 'clicks') }}
