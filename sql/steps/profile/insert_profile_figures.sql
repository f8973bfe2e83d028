delete from profile_figures;
insert into profile_figures by name select *, $profiled_at as profiled_at from incoming;
