-- The fourth of three threads: it begins when one of them has lost its connection.
select 1 as n
