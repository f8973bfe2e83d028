-- Topics whose share of tweets changed most between two periods, by the z of two proportions.
with
totals as (
    select
        sum(count_tweets) filter (where day >= $first) as count_now,
        sum(count_tweets) filter (where day < $first) as count_before
    from (
        select day, case $label when 'negative' then count_negative when 'positive' then count_positive else count_tweets end as count_tweets
        from days
    )
    where day between $before and $last
),
counts as (
    select
        word_id,
        sum(counted) filter (where day >= $first) as count_now,
        sum(counted) filter (where day < $first) as count_before,
        sum(count_negative) filter (where day >= $first) as count_negative,
        sum(count_positive) filter (where day >= $first) as count_positive
    from (
        select *, case $label when 'negative' then count_negative when 'positive' then count_positive else count_tweets end as counted
        from topic_days
        where day between $before and $last
    )
    group by word_id
),
rates as (
    select
        word_id,
        coalesce(counts.count_now, 0)::bigint as count_now,
        coalesce(counts.count_before, 0)::bigint as count_before,
        coalesce(count_negative, 0)::bigint as count_negative,
        coalesce(count_positive, 0)::bigint as count_positive,
        coalesce(counts.count_now, 0) / totals.count_now as share_now,
        coalesce(counts.count_before, 0) / totals.count_before as share_before,
        (coalesce(counts.count_now, 0) + coalesce(counts.count_before, 0)) / (totals.count_now + totals.count_before) as share,
        totals.count_now as total_now,
        totals.count_before as total_before
    from counts, totals
),
scored as (
    select
        *,
        (share_now - share_before) / sqrt(greatest(share * (1 - share), 1e-12) * (1 / total_now + 1 / total_before)) as z
    from rates
    where count_now + count_before >= 20 and total_now > 0 and total_before > 0
)
select topics.word, scored.* exclude (word_id, share, total_now, total_before)
from scored
join topics on topics.word_id = scored.word_id
where case $kind
    when 'hashtags' then topics.word[1] = '#'
    when 'mentions' then topics.word[1] = '@'
    else topics.word[1] not in ('#', '@')
        and length(topics.word) > 2
        and topics.word not in ('http', 'https', 'www', 'com', 'amp', 'quot')
end
qualify row_number() over (order by z desc) <= $count or row_number() over (order by z) <= $count
order by z desc;
