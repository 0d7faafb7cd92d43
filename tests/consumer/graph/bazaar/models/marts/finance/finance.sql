select * from {{ ref('ledger') }} l left join {{ ref('sessions') }} s on true left join {{ ref('rates') }} on true
