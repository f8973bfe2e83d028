-- Whether the newest decision on a version passed every check.
with
last_decision as (
    select decision_key from decisions where model_version = $model_version order by decided_at desc limit 1
)
select bool_and(passed) from decisions where decision_key in (select decision_key from last_decision);
