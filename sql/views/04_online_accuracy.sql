-- Grain: one row a model version, over tweets that a person corrected or confirmed.
create or replace view online_accuracy as
select
    predictions.model_version,
    count(*) as count_corrections,
    avg(((predictions.probability_positive >= 0.5) = (newest_corrections.label = 'positive'))::integer) as accuracy
from newest_corrections
join predictions on predictions.tweet_id = newest_corrections.tweet_id
where newest_corrections.label != 'neutral'
group by all;
comment on view online_accuracy is 'How often each version agrees with the labels that people gave later.';
comment on column online_accuracy.model_version is 'The version.';
comment on column online_accuracy.count_corrections is 'Tweets with a label by a person, neutral ones left out.';
comment on column online_accuracy.accuracy is 'Share of them that the version takes for the same side, positive or negative, 0 to 1.';
