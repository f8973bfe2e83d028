-- One part of them; all lines of an id are in the same part.
select * from repeated_lines where tweet_id % $parts = $part order by line_number;
