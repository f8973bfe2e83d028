-- Which versions have predictions, and how many.
select model_version, count(*) as count_predictions from predictions group by model_version order by model_version;
