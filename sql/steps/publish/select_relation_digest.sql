-- What a relation holds, in whatever order.
select count(*)::varchar || ' rows, ' || coalesce(sum(hash(*columns(*))::hugeint), 0)::varchar
from query_table($relation);
