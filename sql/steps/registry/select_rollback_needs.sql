-- Whether housekeeping has deleted most of what a version had predicted: then going back to it shows readers nothing yet.
select
    (select count(*) from predictions where model_version = $model_version) < 0.5 * (select count(*) from tweets)
    and exists (from pruned_predictions where model_version = $model_version);
