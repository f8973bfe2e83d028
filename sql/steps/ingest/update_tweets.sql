-- What further sources say of tweets that are there already. Column by column, since an updated column is written again at
-- the next checkpoint, and that of the texts costs more than all others. A changed text is scored again.
delete from predictions
where tweet_id in (
    select incoming.tweet_id
    from incoming
    join tweets on tweets.tweet_id = incoming.tweet_id
    where tweets.text != incoming.text
);
update tweets
set label = incoming.label,
    label_source = incoming.label_source,
    has_label_conflict = incoming.has_label_conflict
from incoming
where tweets.tweet_id = incoming.tweet_id
    and (
        tweets.label is distinct from incoming.label
        or tweets.label_source is distinct from incoming.label_source
        or tweets.has_label_conflict != incoming.has_label_conflict
    );
update tweets
set posted_at = incoming.posted_at
from incoming
where tweets.tweet_id = incoming.tweet_id and tweets.posted_at is distinct from incoming.posted_at;
update tweets
set user_name = incoming.user_name
from incoming
where tweets.tweet_id = incoming.tweet_id and tweets.user_name is distinct from incoming.user_name;
update tweets
set query = incoming.query
from incoming
where tweets.tweet_id = incoming.tweet_id and tweets.query is distinct from incoming.query;
update tweets
set text = incoming.text,
    raw_text = incoming.raw_text
from incoming
where tweets.tweet_id = incoming.tweet_id
    and (tweets.text != incoming.text or tweets.raw_text is distinct from incoming.raw_text);
-- The ledger of scoring and the published snapshot find what changed by this number.
update tweets set change_number = nextval('change_numbers') from incoming where tweets.tweet_id = incoming.tweet_id;
