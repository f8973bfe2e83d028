-- What a version has not scored, known without looking through its predictions: each row of tweets carries the number of its
-- last change, and a ledger says up to which number, and from which, a version has scored everything.

-- In the order of rows, so that whole row groups are skipped where only new rows are asked for.
set threads = 1;
create sequence change_numbers;
alter table tweets add column change_number bigint default nextval('change_numbers');
reset threads;
comment on column tweets.change_number is 'Number of the change that wrote the row last: loading a tweet or changing any of its columns takes the next one.';

create table scored_ranges (
    model_version integer not null,
    first_number bigint not null,
    end_number bigint not null,
    count_rows bigint not null,
    run_id varchar not null,
    scored_at timestamptz not null,
    check (first_number < end_number)
);
comment on table scored_ranges is 'The ledger of scoring: one row a model version and range of change numbers. Every tweet whose change_number is in the range has a prediction by that version.';
comment on column scored_ranges.model_version is 'The version.';
comment on column scored_ranges.first_number is 'First change number of the range.';
comment on column scored_ranges.end_number is 'First change number behind the range.';
comment on column scored_ranges.count_rows is 'Predictions that were committed together with this row.';
comment on column scored_ranges.run_id is 'The run (runs.run_id) that committed it.';
comment on column scored_ranges.scored_at is 'When.';

-- Versions that had scored every tweet when this migration was applied. What others lack is found out by their next run.
insert into scored_ranges by name
select
    model_version,
    1 as first_number,
    (select max(change_number) + 1 from tweets) as end_number,
    count(*) as count_rows,
    arg_max(run_id, scored_at) as run_id,
    max(scored_at) as scored_at
from predictions
where tweet_id in (select tweet_id from tweets)
group by model_version
having count(*) = (select count(*) from tweets);
