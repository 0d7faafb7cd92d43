{{ config(severity='warn') }}
select * from {{ ref('growing') }} where amount > 30
