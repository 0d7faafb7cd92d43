{{ config(materialized='table') }}
select no_such from {{ ref('items') }}
