select model_version, change, changed_by, reason from intended_change;
