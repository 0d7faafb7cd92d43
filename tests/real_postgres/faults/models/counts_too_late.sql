{{ config(pre_hook="set transaction isolation level repeatable read") }}
select count_too_late() as n
