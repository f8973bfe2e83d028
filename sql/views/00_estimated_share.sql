-- What the mean probability of some tweets says of the true share of positive ones, corrected for what the model gets wrong: the
-- estimate of sentiment/evaluation/shares.py. `scores` is a row of class_scores.
create or replace macro estimated_share(mean_probability, scores) as
-- greatest() passes over nulls.
case
    when scores.mean_negative is not null
        then least(greatest((mean_probability - scores.mean_negative) / (scores.mean_positive - scores.mean_negative), 0), 1)
end;
-- Half the width of its 95 % interval.
create or replace macro half_width_of_share(share, count_tweets, scores) as
1.959964 / (scores.mean_positive - scores.mean_negative) * sqrt(
    share * scores.variance_positive * (1 / count_tweets + share / scores.count_rows_positive)
    + (1 - share) * scores.variance_negative * (1 / count_tweets + (1 - share) / scores.count_rows_negative)
);
