{{ config(enabled=var('slow', false), tags=['slow']) }}

{% if target.type == 'postgres' %}
select 1 as slept from pg_sleep(60)
{% else %}
-- 2e10 pairs keep DuckDB busy for a minute or so, and it can be interrupted.
select sum((a.range * b.range) % 7) as total
from range(0, 1000000) as a
cross join range(0, 20000) as b
{% endif %}
