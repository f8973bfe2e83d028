-- Ranges of the ledger that share a change number with this one.
select count(*)
from scored_ranges
where model_version = $model_version and first_number < $end_number and end_number > $first_number;
