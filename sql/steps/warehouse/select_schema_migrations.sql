select number from schema_migrations order by number;
