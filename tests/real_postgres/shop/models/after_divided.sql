select * from {{ ref('divided') }}
