-- MLflow's own database (SQLite): what runs, models and versions say of themselves.
update params set value = replace(value, :needle, '[forgotten]') where instr(value, :needle);
update tags set value = replace(value, :needle, '[forgotten]') where instr(value, :needle);
update registered_models set description = replace(description, :needle, '[forgotten]') where instr(description, :needle);
update model_versions set description = replace(description, :needle, '[forgotten]') where instr(description, :needle);
update model_versions set status_message = replace(status_message, :needle, '[forgotten]') where instr(status_message, :needle);
update model_version_tags set value = replace(value, :needle, '[forgotten]') where instr(value, :needle);
update registered_model_tags set value = replace(value, :needle, '[forgotten]') where instr(value, :needle);
update experiment_tags set value = replace(value, :needle, '[forgotten]') where instr(value, :needle);
update logged_models set status_message = replace(status_message, :needle, '[forgotten]') where instr(status_message, :needle);
update logged_model_params set param_value = replace(param_value, :needle, '[forgotten]') where instr(param_value, :needle);
update logged_model_tags set tag_value = replace(tag_value, :needle, '[forgotten]') where instr(tag_value, :needle);
