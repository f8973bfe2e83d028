-- What would the newest version change? Tweets that flip, by direction and by what their source says.
select from_version, model_version, from_label, label, source_label, count(*) as count_tweets
from label_flips
group by all
order by count_tweets desc;
