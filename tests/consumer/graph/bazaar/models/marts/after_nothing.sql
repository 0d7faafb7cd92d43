select 1 as id -- {{ ref('nothing_yet') }} {{ ref('stg_shop_clicks') }}
