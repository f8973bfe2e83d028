-- Words in small letters; a hashtag or mention is found with and without its mark.
create temp table tokens as
with
read as (
    select position, regexp_extract_all(lower(text), '[#@]?[\p{L}\p{N}_'']+') as words from tweets
)
select
    position,
    unnest(list_distinct(words || [word[2:] for word in words if word[1] in ('#', '@')])) as word
from read;
