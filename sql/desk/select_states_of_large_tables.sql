-- The state of the tables that are too large to be read as a whole for it, by name. Every change of a tweet takes the next change
-- number; predictions are added by version or deleted, never changed.
select
    (select concat_ws(' ', count(*), max(change_number)) from tweets) as tweets,
    (select concat_ws(' ', count(*), max(scored_at), sum(model_version)) from predictions) as predictions;
