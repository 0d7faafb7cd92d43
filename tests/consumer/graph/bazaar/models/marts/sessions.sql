select c.* from {{ ref('stg_clicks') }} c join {{ ref('stg_visits') }} v using (id)
