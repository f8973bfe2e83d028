-- No correction is earlier than the one before it of the same tweet, also where a clock was set back: the newest one counts.
insert into corrections by name
with
newest as (
    select tweet_id, max(corrected_at) as corrected_at
    from corrections
    where tweet_id in (select tweet_id from incoming)
    group by all
),
placed as (
    select *, corrected_at - min(corrected_at) over () + interval 1 microsecond as place from incoming
)
select
    placed.tweet_id,
    placed.label,
    placed.corrected_by,
    greatest(placed.corrected_at, coalesce(newest.corrected_at + placed.place, placed.corrected_at)) as corrected_at
from placed
left join newest on newest.tweet_id = placed.tweet_id;
