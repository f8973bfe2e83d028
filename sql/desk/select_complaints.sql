select *, count_negative / count_tweets as share_negative
from complaints
where case $kind when 'hashtags' then word[1] = '#' when 'mentions' then word[1] = '@' else true end
order by count_negative desc, word
limit $count;
