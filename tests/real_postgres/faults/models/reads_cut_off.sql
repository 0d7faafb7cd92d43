select * from {{ ref('cut_off') }}
