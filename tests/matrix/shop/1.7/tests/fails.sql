select * from {{ ref('growing') }} where amount > 20
