-- How many tweets match, by day and label, and by what else they can be narrowed to.
select
    day,
    label,
    source_label,
    count(*) as count_tweets
from matching(
    $words, $phrases, $first, $last, $author, $query, $source, $label, $given, $least, $most, $is_disputed
)
group by all;
