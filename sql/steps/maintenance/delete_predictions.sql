delete from predictions
where model_version in (select model_version from incoming) and tweet_id not in (select tweet_id from corrections);
delete from scored_ranges where model_version in (select model_version from incoming);
insert into pruned_predictions by name select model_version, count_rows, $now as pruned_at from incoming;
