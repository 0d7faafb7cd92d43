{{ config(alias='skipped_here') }} select 1 as id from {{ ref('after_nothing') }}
