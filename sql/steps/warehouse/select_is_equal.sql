-- Whether tweets and predictions of a snapshot are as many as those of the warehouse, up to the same change. Since rows that
-- changed were carried over, another number of them means that some were deleted.
select
    (select count(*) from draft.main.tweets) = (select count(*) from source.main.tweets)
    and (select count(*) from draft.main.predictions) = (select count(*) from source.main.predictions)
    and (select max(change_number) from draft.main.tweets)
    is not distinct from (select max(change_number) from source.main.tweets);
