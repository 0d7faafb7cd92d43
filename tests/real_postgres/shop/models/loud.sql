{{ config(materialized='table') }}
-- A notice, an empty result, and a text of several alphabets.
{% do run_query("do $$ begin raise notice 'a notice: ü, 日本'; end $$") %}
select 'ü 日本 "quoted" %s' as word where false
