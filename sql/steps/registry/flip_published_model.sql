-- From here on scored_tweets shows this version; nothing is written when it did already.
delete from published_model where model_version != $model_version;
insert into published_model by name
select $model_version as model_version, $now as published_at
where not exists (from published_model);
