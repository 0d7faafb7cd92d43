select lock_in_a_circle() as n
