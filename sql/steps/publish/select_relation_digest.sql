-- A digest of a relation's rows, in any order.
select count(*)::varchar || ' rows, ' || coalesce(sum(hash(*columns(*))::hugeint), 0)::varchar
from query_table($relation);
