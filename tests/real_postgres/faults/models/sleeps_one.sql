{{ config(tags=['sleeps']) }}
select pg_sleep(300)::text as slept
