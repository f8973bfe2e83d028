create table if not exists schema_migrations (
    number integer not null,
    name varchar not null,
    applied_at timestamptz not null
);
create table if not exists view_state (digest varchar not null);
