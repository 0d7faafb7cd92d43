{{ exceptions.raise_compiler_error("no SQL for you") if execute }}
select 1 as id
