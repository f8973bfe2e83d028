select * from decisions order by decided_at desc, model_version desc;
