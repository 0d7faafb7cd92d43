{{ config(materialized='table', contract={'enforced': true}) }}
select 'a'::text as id
