-- Which labels are probably wrong? Hold-out tweets, which the champion never saw, that it contradicts most surely.
select tweet_id, source_label, label, confidence, text
from worst_mistakes
where tweet_id in (select tweet_id from tweets where split = 'holdout')
order by confidence desc, tweet_id
limit 50;
