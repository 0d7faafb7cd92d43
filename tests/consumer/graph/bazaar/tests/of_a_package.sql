{{ config(tags=['slow']) }} select 1 from {{ ref('jaffle', 'orders') }} where false
