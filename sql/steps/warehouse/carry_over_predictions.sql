-- Predictions of a version for the tweets in `changed`, as far as they are not there.
insert into draft.main.predictions by name
select found.*
from source.main.predictions as found
anti join draft.main.predictions as present
    on present.tweet_id = found.tweet_id
    and present.model_version = found.model_version
    and present.tweet_id between $least and $greatest
where found.model_version = $model_version
    and found.tweet_id between $least and $greatest
    and found.tweet_id in (select tweet_id from changed);
