-- What the filters of a page select; every filter that is null, or a list that is empty, selects everything.
-- Columns are those that pages sort and count by: texts are read for the rows shown alone.
create macro matching(
    the_words, the_phrases, first_day, last_day, author, searched, file, predicted, given, least, most, is_disputed
) as table
select position, day, label, source_label, source, query, probability_positive
from tweets
where
    (
        len(the_words) = 0
        or position in (
            select postings.position
            from postings
            join words on words.word_id = postings.word_id
            where words.word in (select unnest(the_words))
            group by postings.position
            having count(*) = len(the_words)
        )
    )
    and (len(the_phrases) = 0 or len(list_filter(the_phrases, lambda phrase: contains(lower(text), phrase))) = len(the_phrases))
    and (first_day::date is null or day >= first_day::date)
    and (last_day::date is null or day <= last_day::date)
    and (author::varchar is null or lower(user_name) = lower(author::varchar))
    and (searched::varchar is null or query = searched::varchar)
    and (file::varchar is null or source = file::varchar)
    and (predicted::varchar is null or label = predicted::varchar)
    and (given::varchar is null or coalesce(source_label, 'none') = given::varchar)
    and (least::float is null or probability_positive >= least::float)
    and (most::float is null or probability_positive <= most::float)
    and (not is_disputed::boolean or (source_label in ('negative', 'positive') and (probability_positive >= 0.5) != (source_label = 'positive')));
