"""The application: eight flows, the command line and the servers.

Every command, flow and server imports it first. The import sets MLflow's environment variables for this process and its
children, how often this process looks for garbage, and that a log that cannot be written prints nothing.
"""

from __future__ import annotations

import logging
import os

from sentiment.registry.environment import MLFLOW_ENVIRONMENT, collect_rarely

for _name, _value in MLFLOW_ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

collect_rarely()
# On a full disk each line of the log would be a stack trace above the sentence that says so.
logging.raiseExceptions = False
