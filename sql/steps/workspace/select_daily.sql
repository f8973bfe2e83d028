select * from daily_sentiment order by day;
