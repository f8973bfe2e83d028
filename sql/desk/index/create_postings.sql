-- Grain: one row a word and tweet that holds it, by word: a search reads a few blocks.
create table postings as
select words.word_id, tokens.position
from tokens
join words on words.word = tokens.word
order by words.word_id, tokens.position;
drop table tokens;
