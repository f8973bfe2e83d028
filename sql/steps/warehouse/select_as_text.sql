select value::varchar as value from incoming;
