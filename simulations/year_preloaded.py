"""What the processes of a simulated year inherit: modules whose import takes seconds."""

from importlib import import_module

import torch

for name in (
    "flows.cli.terminal",
    "flows.housekeeping",
    "flows.ingest",
    "flows.monitor",
    "flows.retrain",
    "flows.score",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "prefect.events.worker",
    "sentiment.ingest.inspection",
    "sentiment.maintenance.backup",
    "sentiment.maintenance.erasure",
    "sentiment.maintenance.withdrawal",
    "sentiment.training.fit",
    "torch._dynamo",
):
    import_module(name)

torch.set_num_threads(1)
