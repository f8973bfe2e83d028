-- What people reviewed, by queue and person.
select
    queue,
    reviewed_by,
    count(*) as count_shown,
    count(label) as count_labelled,
    max(reviewed_at) as last_reviewed_at
from reviews
group by all
order by last_reviewed_at desc;
