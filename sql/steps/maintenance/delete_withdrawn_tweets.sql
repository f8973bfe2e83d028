delete from predictions where tweet_id in (select tweet_id from incoming);
delete from tweets where tweet_id in (select tweet_id from incoming);
delete from profile_figures where section = 'repeated_texts';
