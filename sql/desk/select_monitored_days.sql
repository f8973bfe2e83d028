-- The newest value of each measure.
select measure, day, value, lower, upper, threshold, is_alarm
from monitoring
qualify row_number() over (partition by measure order by day desc) = 1
order by is_alarm desc, measure;
