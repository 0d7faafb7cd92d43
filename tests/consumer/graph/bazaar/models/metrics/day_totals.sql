select date '2026-01-01' as on_day, 1 as amount, 1 as id from {{ ref('ledger') }}
