-- Grain: one row a model version, over tweets that a person corrected or confirmed.
create or replace view online_accuracy as
select
    predictions.model_version,
    count(*) as count_corrections,
    avg((predictions.label = newest_corrections.label)::integer) as accuracy
from newest_corrections
join predictions on predictions.tweet_id = newest_corrections.tweet_id
where newest_corrections.label != 'neutral'
group by all;
comment on view online_accuracy is 'How often each version agrees with the labels that people gave later.';
comment on column online_accuracy.model_version is 'The version.';
comment on column online_accuracy.count_corrections is 'Tweets with a label by a person, neutral ones left out.';
comment on column online_accuracy.accuracy is 'Share of them that the version labels the same, 0 to 1.';
