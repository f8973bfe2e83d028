-- What a person said of them stays in corrections; how they were chosen for it says nothing without them.
delete from predictions where tweet_id in (select tweet_id from incoming);
delete from reviews where tweet_id in (select tweet_id from incoming);
delete from tweets where tweet_id in (select tweet_id from incoming);
delete from profile_figures where section = 'repeated_texts';
