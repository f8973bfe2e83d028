"""What the children of `simulations.children` inherit: modules whose import takes seconds, some of them imported late."""

from importlib import import_module

import torch

for name in (
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "sentiment.training.fit",
    "simulations.damage_probes",
    "torch._dynamo",
):
    import_module(name)

# Several of them run at a time, each on little data.
torch.set_num_threads(1)
