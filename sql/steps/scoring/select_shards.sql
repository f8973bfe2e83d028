-- A range of change numbers in equal pieces: how many tweets each has, and their least and greatest id. Pieces without tweets
-- are left out. The bounds let whole row groups of predictions be skipped, where ids grow with time.
select
    $first_number + (change_number - $first_number) // $width * $width as first_number,
    count(*) as count_rows,
    min(tweet_id) as least,
    max(tweet_id) as greatest
from tweets
where change_number >= $first_number and change_number < $end_number
group by all
order by first_number;
