select *
from decisions
where $model_version::integer is null or model_version = $model_version
order by decided_at desc, model_version desc;
