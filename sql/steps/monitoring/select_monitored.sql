select day, measure, value, lower, upper, threshold, is_alarm from monitoring where day >= $first order by day, measure;
