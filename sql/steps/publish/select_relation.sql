from query_table($relation);
