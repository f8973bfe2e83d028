-- A snapshot that is put in the place of a lost warehouse must not give out numbers that are taken.
select max(nextval('draft.main.change_numbers')) from range($count_numbers::bigint);
