insert into schema_migrations by name select $number as number, $name as name, now() as applied_at;
