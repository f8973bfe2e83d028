-- A page of the tweets that match. Only their positions are sorted; texts are read for the rows of the page.
with
page as (
    select
        position,
        case $sort
            when 'oldest' then -position
            when 'negative' then probability_positive
            when 'positive' then -probability_positive
            when 'unsure' then abs(probability_positive - 0.5)
            when 'surest' then -abs(probability_positive - 0.5)
            else position
        end as place
    from matching(
        $words, $phrases, $first, $last, $author, $query, $source, $label, $given, $least, $most, $is_disputed
    )
    where $sort in ('newest', 'oldest') or probability_positive is not null
    order by place, position
    limit $count offset $skip
)
select
    tweets.tweet_id,
    tweets.posted_at,
    tweets.user_name,
    tweets.text,
    tweets.query,
    tweets.source,
    tweets.source_label,
    tweets.label,
    tweets.probability_positive
from page
join tweets on tweets.position = page.position
order by page.place, page.position;
