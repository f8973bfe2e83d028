delete from intended_change;
