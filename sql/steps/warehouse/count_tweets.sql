select count(*) from tweets;
