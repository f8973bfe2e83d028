-- Grain: one row a day on which tweets were posted, in UTC.
create or replace view daily_sentiment as
select
    make_timestamp(epoch_us(posted_at))::date as day,
    count(*) as count_tweets,
    count(*) filter (where label = 'positive') as count_positive,
    avg(probability_positive) as mean_probability_positive,
    avg((label = 'positive')::integer) as share_positive,
    avg((label = source_label)::integer) as share_agreeing
from scored_tweets
where posted_at is not null
group by all;
comment on view daily_sentiment is 'The champion''s predictions by day.';
comment on column daily_sentiment.day is 'Day of posting, in UTC.';
comment on column daily_sentiment.count_tweets is 'Tweets posted.';
comment on column daily_sentiment.count_positive is 'Of these, predicted positive.';
comment on column daily_sentiment.mean_probability_positive is 'Mean probability of positive, 0 to 1.';
comment on column daily_sentiment.share_positive is 'Share predicted positive, 0 to 1.';
comment on column daily_sentiment.share_agreeing is 'Share of labelled tweets whose prediction is their source''s label, 0 to 1; null without labels.';
