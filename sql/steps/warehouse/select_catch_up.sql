-- What a snapshot `draft` lacks of the warehouse `source`, and whether rows can be carried over: the same schema and views, no
-- range of the ledger that has gone since, and much less to carry over than to copy.
with
drafted as (
    select
        (select coalesce(max(change_number), 0) from draft.main.tweets) as last_number,
        (select count(*) from draft.main.tweets) as count_tweets,
        (select list(number order by number) from draft.main.schema_migrations) as numbers,
        (select max(digest) from draft.main.view_state) as digest
),
wanted as (
    select
        (select list(number order by number) from source.main.schema_migrations) as numbers,
        (select max(digest) from source.main.view_state) as digest,
        (select count(*) from source.main.tweets) as count_tweets
),
lost as (
    select count(*) as count_ranges
    from draft.main.scored_ranges as before
    anti join source.main.scored_ranges as after
        on after.model_version = before.model_version
        and after.first_number <= before.first_number
        and after.end_number >= before.end_number
),
steps as (
    select
        (select last_value from duckdb_sequences() where database_name = 'source' and sequence_name = 'change_numbers')
        - (select last_value from duckdb_sequences() where database_name = 'draft' and sequence_name = 'change_numbers')
        as count_numbers
)
select
    drafted.last_number,
    steps.count_numbers,
    drafted.numbers = wanted.numbers
    and drafted.digest = wanted.digest
    and lost.count_ranges = 0
    and steps.count_numbers between 0 and 0.2 * wanted.count_tweets as can_catch_up
from drafted, wanted, lost, steps;
