-- A day that is measured again, because more of its tweets arrived, replaces the earlier rows.
delete from monitoring
using incoming
where monitoring.day = incoming.day and monitoring.measure = incoming.measure;
insert into monitoring by name select *, $now as measured_at from incoming;
