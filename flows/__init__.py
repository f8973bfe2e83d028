"""The application: eight flows, the command line and the servers.

Every command, flow and server imports it first. The import sets MLflow's environment variables for this process and its
children, and how often this process looks for garbage.
"""

from __future__ import annotations

import os

from sentiment.registry.environment import MLFLOW_ENVIRONMENT, collect_rarely

for _name, _value in MLFLOW_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

collect_rarely()
