-- The form in which user names are compared: without `@` and blanks around it, in lower case.
create or replace temporary macro user_key(name) as lower(regexp_replace(name, '^[\s\p{Z}@]+|[\s\p{Z}]+$', '', 'g'));
