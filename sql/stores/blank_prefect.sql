-- Prefect's own database (SQLite): what runs have logged and shown. Timestamps and ids stay.
update log set message = replace(message, :needle, '[forgotten]') where instr(message, :needle);
update artifact set data = replace(data, :needle, '[forgotten]') where instr(data, :needle);
update artifact_collection set data = replace(data, :needle, '[forgotten]') where instr(data, :needle);
update events set payload = replace(payload, :needle, '[forgotten]') where instr(payload, :needle);
update flow_run set parameters = replace(parameters, :needle, '[forgotten]') where instr(parameters, :needle);
update flow_run_state set message = replace(message, :needle, '[forgotten]') where instr(message, :needle);
update task_run_state set message = replace(message, :needle, '[forgotten]') where instr(message, :needle);
