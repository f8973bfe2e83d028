-- Grain: one row a tweet that a person labelled.
create or replace view newest_corrections as
select tweet_id, label, corrected_by, corrected_at
from corrections
qualify row_number() over (partition by tweet_id order by corrected_at desc, corrected_by, label) = 1;
comment on view newest_corrections is 'The newest label that a person gave each tweet: it counts before what the sources say.';
comment on column newest_corrections.tweet_id is 'The tweet.';
comment on column newest_corrections.label is 'negative, neutral or positive; neutral ones neither train nor evaluate.';
comment on column newest_corrections.corrected_by is 'Who.';
comment on column newest_corrections.corrected_at is 'When.';
