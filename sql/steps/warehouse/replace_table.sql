truncate draft.main.{table};
insert into draft.main.{table} by name from source.main.{table};
