insert into decision_losses by name
select
    decision_key,
    loss_number,
    check_name,
    found_in,
    expected,
    tweet_id,
    text_key,
    case when tweet_id is null and text_key is null then text end as case_text,
    champion_probability,
    challenger_probability
from incoming;
