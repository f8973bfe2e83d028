-- Grain: one row a day on which tweets were posted, in UTC.
create or replace view daily_sentiment as
with
newest_scores as (
    select *
    from class_scores
    where mean_positive > mean_negative
    qualify row_number() over (partition by model_version order by evaluated_at desc) = 1
),
days as (
    select
        make_timestamp(epoch_us(posted_at))::date as day,
        model_version,
        count(*) as count_tweets,
        count(*) filter (where label = 'positive') as count_positive,
        avg(probability_positive) as mean_probability_positive,
        avg((label = 'positive')::integer) as share_positive,
        avg(((probability_positive >= 0.5) = (source_label = 'positive'))::integer) filter (where source_label != 'neutral')
            as share_agreeing,
        count(*) filter (where label = 'neutral') as count_neutral,
        avg((label = 'neutral')::integer) as share_neutral
    from scored_tweets
    where posted_at is not null
    group by all
),
estimated as (
    select days.*, newest_scores, estimated_share(days.mean_probability_positive, newest_scores) as estimate
    from days
    left join newest_scores on newest_scores.model_version = days.model_version
),
bounded as (
    select *, half_width_of_share(estimate, count_tweets, newest_scores) as half_width
    from estimated
)
select
    day,
    count_tweets,
    count_positive,
    mean_probability_positive,
    share_positive,
    share_agreeing,
    count_neutral,
    share_neutral,
    estimate as estimated_share_positive,
    case when half_width is not null then greatest(estimate - half_width, 0) end as estimated_share_lower,
    case when half_width is not null then least(estimate + half_width, 1) end as estimated_share_upper
from bounded;
comment on view daily_sentiment is 'The champion''s predictions by day, and what they say of the true share of positive tweets.';
comment on column daily_sentiment.day is 'Day of posting, in UTC.';
comment on column daily_sentiment.count_tweets is 'Tweets posted.';
comment on column daily_sentiment.count_positive is 'Of these, predicted positive.';
comment on column daily_sentiment.mean_probability_positive is 'Mean probability of positive, 0 to 1.';
comment on column daily_sentiment.share_positive is 'Share predicted positive, 0 to 1: a count of labels, which is drawn towards the middle.';
comment on column daily_sentiment.share_agreeing is 'Share of the tweets labelled negative or positive by their source that the champion takes for the same side, 0 to 1; null without any.';
comment on column daily_sentiment.count_neutral is 'Tweets predicted neutral.';
comment on column daily_sentiment.share_neutral is 'Share predicted neutral, 0 to 1.';
comment on column daily_sentiment.estimated_share_positive is 'Estimated true share of positive tweets, each taken as positive or negative, 0 to 1: corrected for what the champion gets wrong; null before it was measured on a hold-out.';
comment on column daily_sentiment.estimated_share_lower is 'Lower end of the 95 % interval of that estimate.';
comment on column daily_sentiment.estimated_share_upper is 'Upper end of the 95 % interval of that estimate.';
