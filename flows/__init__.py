"""The application: eight flows, the command line and the servers.

Importing it, which every command, flow and server does first, puts the environment of MLflow in force for the process and
those it starts.
"""

from __future__ import annotations

import os

from sentiment.registry.environment import MLFLOW_ENVIRONMENT

for _name, _value in MLFLOW_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
