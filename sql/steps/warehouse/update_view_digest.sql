delete from view_state;
insert into view_state by name select $digest as digest;
