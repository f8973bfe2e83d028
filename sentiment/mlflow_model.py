"""The registered model as MLflow runs it: models-from-code, so that nothing is pickled.

MLflow executes this file when the model is loaded; `sentiment_model` is the copy of our model code that lies beside the
weights, so the model loads where this project is not installed, and with the code that it was trained with.
"""

from __future__ import annotations

from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc import PythonModel, PythonModelContext


class TweetSentiment(PythonModel):
    """Takes texts as a list, an array, a series or a frame's first column; gives `label` and `probability_positive`."""

    def load_context(self, context: PythonModelContext) -> None:
        from sentiment_model.model import SentimentModel

        self.model = SentimentModel.load(context.artifacts["model"])

    # Without annotations: MLflow takes them for a schema of its own and then refuses series and arrays.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        texts: Any = model_input.iloc[:, 0] if isinstance(model_input, pd.DataFrame) else model_input
        probability = self.model.predict_probability(["" if pd.isna(text) else str(text) for text in texts])
        label = ["positive" if value >= 0.5 else "negative" for value in probability]
        return pd.DataFrame({"label": label, "probability_positive": probability.astype("float64")})


mlflow.models.set_model(TweetSentiment())
