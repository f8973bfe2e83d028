-- MLflow's store (SQLite): the version that an alias of a registered model points to.
select version
from registered_model_aliases
where name = :name and alias = :alias;
