-- The last 120 days that were measured.
select day, measure, value, lower, upper, threshold, is_alarm
from monitoring
where day > (select max(day) from monitoring where measure = 'volume') - interval 120 days
    and day <= (select max(day) from monitoring where measure = 'volume')
order by day;
