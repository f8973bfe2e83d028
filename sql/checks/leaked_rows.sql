-- Evaluation rows that a model was fed, by id or by text. Expected: none.
-- Likely cause: a trainer that read more than its export, or a split rule that changed.
with
fed as (
    select tweet_id, text_key from read_parquet($fed_rows)
),
evaluation as (
    select 'holdout' as evaluation_set, tweet_id, text_key from read_parquet($holdout)
    union all
    select 'gold:' || gold_set, null, text_key from read_parquet($gold)
)
select evaluation.*
from evaluation
where text_key in (select text_key from fed)
    or (tweet_id is not null and tweet_id in (select tweet_id from fed));
