-- Texts that the champion has right and the challenger wrong, of one decision; tweets that are gone since are left out.
with
gold_texts as (
    select gold_set, text_key, any_value(text) as text from gold_tweets group by all
)
select
    decision_losses.check_name,
    decision_losses.found_in,
    decision_losses.expected,
    decision_losses.tweet_id,
    coalesce(decision_losses.case_text, tweets.text, gold_texts.text) as text,
    decision_losses.champion_probability,
    decision_losses.challenger_probability
from decision_losses
left join tweets on tweets.tweet_id = decision_losses.tweet_id
left join gold_texts on gold_texts.text_key = decision_losses.text_key and gold_texts.gold_set = decision_losses.found_in
where decision_losses.decision_key = $decision_key
    and coalesce(decision_losses.case_text, tweets.text, gold_texts.text) is not null
order by decision_losses.loss_number;
