-- The ledgers of scoring of a snapshot `draft` and of the warehouse `source`.
select 'draft' as ledger, model_version, first_number, end_number from draft.main.scored_ranges
union all
select 'source', model_version, first_number, end_number from source.main.scored_ranges
order by all;
